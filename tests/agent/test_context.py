import json
from dataclasses import replace

import pytest

from codagent.agent.context import KEEP, Context
from codagent.errors import ModelError
from codagent.types import Message, Observation, Reply, Sampling, Step, ToolCall

PROMPT = (Message("system", "rules"), Message("user", "task"))


def step(number, answer="exit 0\nfine", prompt_tokens=100):
    message = Message("assistant", "", (ToolCall(f"c{number}", "bash", f'{{"command": "step {number}"}}'),))
    reply = Reply(message, "tool_calls", prompt_tokens, 10, None, None, Sampling(), "p", "")
    return Step(reply, Observation((Message("tool", answer, tool_call_id=f"c{number}"),)), 0.1)


def grown(count, answer="exit 0\n" + "line\n" * 100):
    context = Context(PROMPT)
    for number in range(1, count + 1):
        context.add(step(number, answer))
    return context


def test_nothing_is_left_out_while_it_fits():
    steps = [step(1), step(2)]
    context = Context(PROMPT)
    for one in steps:
        context.add(one)
    assert context.messages == PROMPT + tuple(m for s in steps for m in (s.reply.message, *s.observation.messages))


def test_old_answers_are_shortened_first_and_the_latest_stay_whole():
    context = grown(KEEP + 2)
    context.shrink()
    answers = [message.content for message in context.messages if message.role == "tool"]
    assert ["left out" in answer for answer in answers] == [True] * 2 + [False] * KEEP


def test_then_old_steps_become_a_line_each():
    context = grown(KEEP + 2)
    context.shrink()
    context.shrink()
    summary = context.messages[len(PROMPT)].content
    assert summary.splitlines()[1] == '1. bash {"command": "step 1"} → exit 0'
    assert len(context.messages) == len(PROMPT) + 1 + 2 * KEEP


def test_the_prompt_is_never_touched_and_the_end_is_an_error():
    context = grown(KEEP + 3)
    with pytest.raises(ModelError, match="does not fit"):  # noqa: PT012 - shrinks until it cannot
        for _ in range(10):
            context.shrink()
            assert context.messages[: len(PROMPT)] == PROMPT


def test_what_the_server_counted_and_what_came_since_tell_when_it_overflows():
    context = Context(PROMPT)
    context.add(step(1, "x" * 300, prompt_tokens=800))
    assert not context.overflows(1000, Sampling(max_tokens=50))
    assert context.overflows(1000, Sampling(max_tokens=100))


def test_a_model_without_memory_is_asked_with_the_prompt_alone_each_time():
    context = Context(PROMPT, memory=0)
    context.add(step(1))
    assert (context.messages, context.forgets) == (PROMPT, True)


def say(text):
    reply = Reply(Message("assistant", text), "stop", 100, 10, None, None, Sampling(), "p", "")
    return Step(reply, Observation((Message("user", "Then write it."),)), 0.1)


def test_a_model_without_memory_goes_on_once_from_words_that_did_nothing():
    context, steps = Context(PROMPT, memory=0, goes_on=True), [say("one"), say("two"), say("three"), step(4), say("five")]
    kept = [True, False, True, False, True]
    for one, goes_on in zip(steps, kept, strict=True):
        context.add(one)
        said = (one.reply.message, *one.observation.messages)
        assert context.messages == (PROMPT + said if goes_on else PROMPT)
        assert context.forgets
    context.shrink()  # a step that does not fit is shortened as any other
    assert context.messages[: len(PROMPT)] == PROMPT


def test_the_words_that_are_kept_count():
    context = Context(PROMPT, memory=0, goes_on=True)
    context.add(say("x" * 3000))
    assert context.overflows(1000, Sampling(max_tokens=50))
    context.add(say("y"))
    assert not context.overflows(1000, Sampling(max_tokens=50))


def test_a_short_memory_holds_the_latest_steps():
    context, steps = Context(PROMPT, memory=1), [step(1), step(2)]
    context.add(steps[0])
    assert not context.forgets
    context.add(steps[1])
    assert context.messages == (*PROMPT, steps[1].reply.message, *steps[1].observation.messages)


def test_a_shortened_context_keeps_growing_at_its_end_only():
    context = grown(KEEP + 2)
    context.shrink()
    before = context.messages
    context.add(step(99))
    assert context.messages[: len(before)] == before


def thinking(number):
    data = {"message": {"reasoning_content": "hm", "thinking_blocks": [{"signature": "S"}]}, "calls": [{"extra_content": {"google": 1}}]}
    plain = step(number, "exit 0\n" + "line\n" * 100)
    message = replace(plain.reply.message, provider_data=json.dumps(data))
    return replace(plain, reply=replace(plain.reply, message=message))


def test_signed_reasoning_is_dropped_where_answers_are_shortened_but_never_from_the_latest_step():
    context = Context(PROMPT)
    for number in range(1, KEEP + 3):
        context.add(thinking(number))
    for signed in ([False] * 2 + [True] * KEEP, [True] * KEEP, [False] * (KEEP - 1) + [True]):
        context.shrink()
        replies = [json.loads(message.provider_data) for message in context.messages if message.role == "assistant"]
        assert ["thinking_blocks" in data["message"] for data in replies] == signed
        assert all(data["message"]["reasoning_content"] == "hm" and data["calls"] for data in replies)


def test_what_goes_back_to_the_provider_counts_as_part_of_the_request():
    large = Message("user", "", provider_data=json.dumps({"message": {"reasoning": "x" * 4000}, "calls": []}))
    assert Context((*PROMPT, large)).overflows(1000, Sampling(max_tokens=50))


def test_reasoning_of_another_shape_is_dropped_where_answers_are_shortened():
    context = Context(PROMPT)
    for number in range(1, KEEP + 3):
        one = step(number)
        context.add(replace(one, reply=replace(one.reply, message=replace(one.reply.message, provider_data="[3"))))
    context.shrink()
    assert [message.provider_data for message in context.messages if message.role == "assistant"] == [""] * 2 + ["[3"] * KEEP
