"""Answers as servers send them: calls with and without numbers, contents of parts, and numbers that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codagent.models.http.patience import Patience
from codagent.models.servers.chat_answer import read_progress
from codagent.models.servers.openai_api import OpenAIModel
from codagent.types import Message, Reply, Sampling
from tests.models.loopback import Plain, serve

ASK = (Message("user", "x"),)
ONE, TWO = '{"command": "one"}', '{"command": "two"}'
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def part(name: str | None = None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": name, "arguments": arguments}}


def ask(*deltas: dict[str, Any], events: tuple[dict[str, Any], ...] = ()) -> Reply:
    sent = [*({"choices": [{"index": 0, "delta": delta}]} for delta in deltas), *events, END]
    with serve(Plain("".join(f"data: {json.dumps(one)}\n\n" for one in sent) + "data: [DONE]\n\n", kind="text/event-stream")) as server:
        return OpenAIModel(server.url, "m", patience=Patience(0.1)).reply(ASK, (), Sampling())


@pytest.mark.parametrize(
    "chunks",
    [
        [[part("bash", ONE, index=0, id="a")], [part("bash", TWO, index=0, id="b")]],
        [[part("bash", ONE, index=None, id="a")], [part("bash", TWO, index=None, id="b")]],
        [[part("bash", ONE, id="a")], [part("bash", TWO, id="b")]],
        [[part("bash", ONE, id="a"), part("bash", TWO, id="b")]],
        [[part("bash", ONE), part("bash", TWO)]],
        [[part("bash", ONE)], [part("bash", TWO)]],
        [[part("bash", ONE, index=0)], [part("bash", TWO, index=0)]],
        [[part("bash", ONE, index=0, id="a")], [part("bash", TWO, index=0, id="a")]],
        [[part("bash", json.loads(ONE), index=0, id="a")], [part("bash", json.loads(TWO), index=0, id="b")]],
        [
            [part("bash", ONE[:5], index=0, id="a")],
            [part("bash", TWO[:5], index=0, id="b")],
            [part(None, ONE[5:], id="a"), part(None, TWO[5:], id="b")],
        ],
        [[part("bash", ONE[:5], id="a")], [part(None, ONE[5:])], [part("bash", TWO[:5], id="b")], [part(None, TWO[5:])]],
        [[part("bash", ONE[:5], index=0, id="a")], [part("bash", ONE[5:], index=0, id="a")], [part("bash", TWO, index=1, id="b")]],
        [[part("bash", ONE[:5], index=0)], [part("bash", ONE[5:], index=0)], [part("bash", TWO, index=1)]],
        [[part("bash"), part("bash")], [part(None, ONE), part(None, TWO)]],
        [[part("bash", "", index=0, id="a")], [part("", ONE, index=0, id="")], [part("bash", TWO, index="1", id="b")]],
        [[part("bash", "", index=0, id="a")], [part(None, ONE)], [part("bash", "", index=1, id="b")], [part(None, TWO)]],
        [[part("bash", "{}", index=0, id="a")], [part(None, ONE, index=0)], [part("bash", TWO, index=1, id="b")]],
    ],
)
def test_calls_side_by_side_stay_two(chunks: list[list[dict[str, Any]]]) -> None:
    calls = ask(*({"tool_calls": parts} for parts in chunks)).message.tool_calls
    assert [(call.name, json.loads(call.arguments)["command"]) for call in calls] == [("bash", "one"), ("bash", "two")]
    assert len({call.id for call in calls}) == 2


def test_different_tools_without_a_number_stay_apart() -> None:
    calls = ask({"tool_calls": [part("status")]}, {"tool_calls": [part("bash", ONE)]}, {"tool_calls": part("read", TWO)}).message.tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("status", ""), ("bash", ONE), ("read", TWO)]


def test_the_older_form_of_a_call_is_one() -> None:
    calls = ask({"function_call": {"name": "bash", "arguments": ONE[:4]}}, {"function_call": {"arguments": ONE[4:]}}).message.tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("bash", ONE)]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "I mend it."}],
        ["I mend", {"text": " it."}],
        {"type": "text", "text": {"value": "I mend it."}},
        [{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "I mend it."}, {"type": "image_url", "image_url": {}}],
    ],
)
def test_the_text_of_a_content_in_parts_is_the_text(content: Any) -> None:
    reply = ask({"content": content}, {"tool_calls": [part("bash", ONE, index=0, id="a")]})
    assert (reply.raw, len(reply.message.tool_calls)) == ("I mend it.", 1)


@pytest.mark.parametrize(
    ("ids", "logprobs", "prompt"),
    [
        ([5], {"content": [{"logprob": None}]}, [1, 2]),
        ([-1], {"content": [{"logprob": -0.5}]}, [1, 2]),
        ([5], {"content": [{"logprob": -0.5}]}, [1, None]),
        ([5.0], {"content": [{"logprob": -0.5}]}, [1, 2]),
        ([5], {"content": [{"logprob": "-0.5"}]}, [1, 2]),
        ([5], {"content": [{"logprob": float("nan")}]}, [1, 2]),
        ([5], {"content": [{"logprob": float("-inf")}]}, [1, 2]),
        ([2**70], {"content": [{"logprob": -0.5}]}, [1, 2]),
        ([5], {"content": [None]}, [1, 2]),
        ([5], [-0.5], [1, 2]),
        ([5], "none", [1, 2]),
        (5, {"content": [{"logprob": -0.5}]}, "12"),
    ],
)
def test_tokens_that_are_not_all_numbers_are_not_kept(ids: Any, logprobs: Any, prompt: Any) -> None:
    events = (
        {"choices": [], "prompt_token_ids": prompt},
        {"choices": [{"delta": {"content": "ok"}, "token_ids": ids, "logprobs": logprobs}]},
        {"choices": None, "usage": {"prompt_tokens": 2, "completion_tokens": 1}},
    )
    reply = ask(events=events)
    assert (reply.raw, reply.tokens, reply.prompt_tokens) == ("ok", None, 2)


def progress(total: Any, cache: Any, processed: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}}], "prompt_progress": {"total": total, "cache": cache, "processed": processed}}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (progress(4000, 0, 0), "0% of 4,000 tokens"),
        (progress(4000, 2000, 3000), "50% of 2,000 tokens"),
        (progress(100, 100, 100), "0% of 1 tokens"),
        (progress(10, 0, 999), "100% of 10 tokens"),
        (progress(None, "a", -1), "0% of 1 tokens"),
        ({"prompt_progress": "most"}, None),
        ({"choices": []}, None),
    ],
)
def test_how_much_of_a_prompt_is_read_is_no_text_of_the_answer(event: dict[str, Any], told: str | None) -> None:
    assert read_progress(event) == told
    assert ask({"content": "yes"}, events=(event,)).message.content == "yes"
