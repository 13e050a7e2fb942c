"""What a provider wants back with a reply: put together from pieces, kept as text, and sent as it came."""

import json

import pytest

from codagent.models.tool_calls.formats import encode
from codagent.models.tool_calls.provider_data import add_piece, join_thinking, pack, pick_call_keys, pick_fields, unpack
from codagent.types import Message, ToolCall


def joined(*pieces):
    data = {}
    for piece in pieces:
        add_piece(data, piece)
    return data


def test_texts_grow_and_items_of_one_index_are_one():
    first = {"reasoning": "I ", "reasoning_details": [{"type": "reasoning.text", "text": "I ", "index": 0}]}
    second = {"reasoning": "see", "reasoning_details": [{"type": "reasoning.text", "text": "see", "index": 0, "signature": None}]}
    third = {"reasoning_details": [{"type": "reasoning.text", "signature": "S", "index": 0}, {"type": "reasoning.encrypted", "data": "E"}]}
    assert joined(first, second, third) == {
        "reasoning": "I see",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "I see", "index": 0, "signature": "S"},
            {"type": "reasoning.encrypted", "data": "E"},
        ],
    }
    assert first["reasoning_details"][0]["text"] == "I "


def test_two_items_in_one_piece_are_joined_by_index_too():
    items = [{"index": 0, "text": "a"}, {"index": 0, "text": "b"}, {"index": 1, "text": "c"}]
    assert joined({"reasoning_details": items}) == {"reasoning_details": [{"index": 0, "text": "ab"}, {"index": 1, "text": "c"}]}


@pytest.mark.parametrize("last", ["", "one two", "two"])
def test_blocks_of_thinking_are_whole_however_their_last_piece_is_sent(last):
    pieces = [{"type": "thinking", "thinking": "one "}]
    pieces += [{"type": "thinking", "thinking": "two"}] if last != "two" else []
    end = [{"type": "thinking", "thinking": last, "signature": "S"}, {"type": "redacted_thinking", "data": "R"}]
    assert join_thinking([*pieces, *end]) == [{"type": "thinking", "thinking": "one two", "signature": "S"}, end[1]]


def test_what_is_no_reasoning_does_not_go_back():
    assert pick_fields({"role": "assistant", "content": "x", "annotations": [1], "reasoning": "", "thinking": "t"}) == {"thinking": "t"}


def test_it_goes_back_as_it_came_with_its_calls():
    extra = {"extra_content": {"google": {"thought_signature": "S"}}, "function": {"strict": True}}
    call = {
        "index": 0,
        "id": "call__thought__x/=",
        "type": "function",
        "function": {"name": "a", "arguments": "{}", "strict": True},
        "extra_content": extra["extra_content"],
    }
    assert pick_call_keys(call) == extra
    data = pack({"reasoning_content": "why é"}, [{}, extra])
    calls = (ToolCall("1", "b", "{}"), ToolCall(call["id"], "a", "{}"))
    (sent,), _, _ = encode("native", [Message("assistant", "", calls, provider_data=data)], ())
    del call["index"]
    assert sent["tool_calls"] == [{"id": "1", "type": "function", "function": {"name": "b", "arguments": "{}"}}, call]
    assert sent["reasoning_content"] == "why é"


def test_it_never_replaces_what_codagent_says():
    data = json.dumps(
        {"message": {"role": "user", "content": "no"}, "calls": [{"id": "no", "function": {"name": "no", "arguments": "no"}}]}
    )
    (sent,), _, _ = encode("native", [Message("assistant", "yes", (ToolCall("1", "a", "{}"),), provider_data=data)], ())
    call = {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    assert sent == {"role": "assistant", "content": "yes", "tool_calls": [call]}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"message": 3}', '{"calls": 3}', '{"calls": [3]}', "[" * 100_000])
def test_a_text_of_another_kind_gives_nothing(text):
    assert unpack(text) == ({}, [])


def test_half_a_character_and_endless_nesting_do_no_harm():
    assert unpack(pack({"reasoning": "a\ud83d"})) == ({"reasoning": "a\ufffd"}, [])
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert pack({"reasoning": deep}) == ""
    assert pack({}, [{}, {}]) == ""
