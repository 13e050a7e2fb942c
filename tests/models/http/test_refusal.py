"""A refusal is known for what it is, whichever provider says it and however."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codagent.errors import ModelError, Refusal
from codagent.models.http.patience import Patience
from codagent.models.http.refusal import find_refusal
from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.types import Message, Sampling
from tests.models.loopback import Answer, Plain, refusal, serve

ASK = (Message("user", "x"),)
QUOTA = "You exceeded your current quota, please check your plan and billing details. " + "For more information, see the page. " * 9


@pytest.mark.parametrize(
    ("finish", "message", "said"),
    [
        ("stop", {}, ""),
        (None, {}, ""),
        ("length", {"provider_specific_fields": {"stop_reason": "max_tokens"}}, ""),
        ("content_filter", {}, "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", {}, "content_filter: PROHIBITED_CONTENT"),
        ("SAFETY", {"provider_specific_fields": None}, "SAFETY"),
        ("content_filter", {"provider_specific_fields": {"stop_reason": "refusal"}}, "refusal"),
        (
            "content_filter",
            {"refusal": "Malware.", "provider_specific_fields": {"stop_reason": "refusal", "stop_details": {"category": "cyber"}}},
            "refusal (cyber): Malware.",
        ),
        ("stop", {"refusal": "I cannot help."}, "refusal: I cannot help."),
        (
            "content_filter",
            {"content_filter_results": {"hate": {"filtered": False}, "violence": {"filtered": True}, "error": "x"}},
            "content_filter (violence)",
        ),
    ],
)
def test_the_category_is_found(finish: str | None, message: dict[str, Any], said: str) -> None:
    assert find_refusal(finish, message) == said


def events(*choices: dict[str, Any]) -> Plain:
    lines = [f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\n\n" for choice in choices]
    return Plain("".join(lines) + "data: [DONE]\n\n", kind="text/event-stream")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(finish="content_filter"), "content_filter"),
        (Answer("I c", calls=[("bash", "{}")], finish="content_filter"), "content_filter"),
        (
            events({"delta": {"refusal": "I can"}}, {"delta": {"refusal": "not."}}, {"delta": {}, "finish_reason": "stop"}),
            "refusal: I cannot.",
        ),
        (
            events({"delta": {}, "finish_reason": "content_filter", "content_filter_results": {"violence": {"filtered": True}}}),
            "content_filter (violence)",
        ),
    ],
)
def test_an_endpoint_that_refuses_gives_a_reply_that_says_so(answer: Answer | Plain, said: str) -> None:
    with serve(answer) as server:
        reply = OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
    assert (reply.stop, reply.refusal) == ("refused", said)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "content_filter"),
        (400, "Output blocked by content filtering policy", "invalid_request_error"),
        (400, "Your prompt was flagged as potentially violating our usage policy", "invalid_prompt"),
        (403, "m requires moderation and your input was flagged for violence", None),
    ],
)
def test_a_filter_that_refuses_the_request_is_a_refusal(status: int, message: str, code: str | None) -> None:
    with serve(refusal(status, message, code)) as server:
        with pytest.raises(Refusal, match=rf"refused to answer \({status}\): {message[:30]}"):
            OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
        with pytest.raises(Refusal):
            LiteLLM("openai/gpt-4o-mini", url=server.url, api_key="k").reply(ASK, (), Sampling())
    assert len(server.requests) == 2


def test_a_refusal_of_anthropic_has_its_category() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Malware."}
    usage = {"input_tokens": 10, "output_tokens": 1}
    sent: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage},
        },
        {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in sent)
    with serve(Plain(body, kind="text/event-stream", headers={"connection": "close"})) as server:
        reply = LiteLLM("anthropic/claude-sonnet-4-5", url=server.url, api_key="k").reply(ASK, (), Sampling())
    assert (reply.stop, reply.refusal, reply.total_tokens) == ("refused", "refusal (cyber): Malware.", 15)


def test_a_filter_of_gemini_is_a_refusal() -> None:
    usage = {"promptTokenCount": 10, "totalTokenCount": 10}
    body = f"data: {json.dumps({'candidates': [{'finishReason': 'SAFETY', 'index': 0}], 'usageMetadata': usage})}\n\n"
    with serve(Plain(body, kind="text/event-stream", headers={"connection": "close"})) as server:
        reply = LiteLLM("gemini/gemini-2.5-flash", url=server.url, api_key="k").reply(ASK, (), Sampling())
    assert (reply.stop, reply.refusal) == ("refused", "content_filter")  # litellm drops Gemini's own word


@pytest.mark.parametrize(("quota", "said"), [("PerMinutePerProject", r"keeps failing \(429\)"), ("PerDayPerProject", "out of quota")])
def test_a_quota_of_gemini_is_a_wait_when_it_is_one_of_minutes(quota: str, said: str) -> None:
    details = [{"violations": [{"quotaId": f"GenerateRequests{quota}"}]}, {"retryDelay": "7s"}]
    body = json.dumps({"error": {"code": 429, "message": QUOTA, "status": "RESOURCE_EXHAUSTED", "details": details}})
    with serve(Plain(body, 429)) as server, pytest.raises(ModelError, match=said):
        LiteLLM("gemini/gemini-2.5-flash", url=server.url, api_key="k", patience=Patience(0.1)).reply(ASK, (), Sampling())
    with serve(Plain(f"[{body}]", 429)) as server, pytest.raises(ModelError, match=said):
        LiteLLM("openai/gemini", url=server.url, api_key="k", patience=Patience(0.1)).reply(ASK, (), Sampling())
    with serve(Plain(body, 429)) as server, pytest.raises(ModelError, match=said):
        OpenAIModel(server.url, "m", patience=Patience(0.1)).reply(ASK, (), Sampling())
