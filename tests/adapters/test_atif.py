"""Episodes as ATIF documents, by the rules that its version 1.7 states."""

import json
from dataclasses import replace

import pytest

from codagent import __version__
from codagent.adapters.atif import to_json_value, to_trajectory
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tokens, ToolCall

SAMPLING = Sampling(0.7, 1.0, 0, 100)
LOOP = Loop("l", "g", "repository", "tiny", "abc")
PROMPT = (Message("system", "Be brief."), Message("user", "Mend it."))
TOLD = {"temperature": 0.7, "top_p": 1.0, "top_k": 0, "max_tokens": 100}

DOCUMENT = {"schema_version", "session_id", "trajectory_id", "agent", "steps", "final_metrics", "extra"}
OF_AGENTS = {"tool_calls", "metrics"}
STEP = {"step_id", "source", "message", "observation", "extra", "llm_call_count", "is_copied_context"} | OF_AGENTS
CALL = {"tool_call_id", "function_name", "arguments"}


def reply(text="so", *calls, tokens=None, cost=0.25, raw=None):
    message = Message("assistant", text, calls)
    counts = (len(tokens.prompt_ids), len(tokens.completion_ids)) if tokens else (10, 4)
    return Reply(message, "tool_calls" if calls else "stop", *counts, cost, tokens, SAMPLING, "tiny text", text if raw is None else raw)


def step(said, *answers, end=None, context=None):
    return Step(said, Observation(answers, end), 0.5, context)


def episode(*steps, end="finished", prompt=PROMPT):
    return Episode("solve", 2, Task("t", "mend it"), "old", prompt, steps, end, "", Outcome(0.5, False, "no"), "def")


def agent_steps(*steps):
    return to_trajectory(LOOP, episode(*steps))["steps"][2:]


def assert_follows_the_rules(document):
    json.dumps(document, allow_nan=False).encode()
    assert set(document) <= DOCUMENT
    assert {"name", "version"} <= set(document["agent"])
    assert [each["step_id"] for each in document["steps"]] == list(range(1, len(document["steps"]) + 1))
    for each in document["steps"]:
        assert {"step_id", "source", "message"} <= set(each) <= STEP
        assert each["source"] == "agent" or not OF_AGENTS & set(each)
        calls = each.get("tool_calls", [])
        assert all(set(call) - {"extra"} == CALL and isinstance(call["arguments"], dict) for call in calls)
        for result in each.get("observation", {"results": []})["results"]:
            assert result.get("source_call_id") in {None, *(call["tool_call_id"] for call in calls)}
        metrics = each.get("metrics", {})
        if "completion_token_ids" in metrics:
            assert len(metrics["completion_token_ids"]) == len(metrics["logprobs"]) == metrics["completion_tokens"]
            assert len(metrics["prompt_token_ids"]) == metrics["prompt_tokens"]


def test_an_episode_is_a_document_with_what_was_said_measured_and_judged():
    call = ToolCall("c1", "bash", '{"command": "ls"}')
    tokens = Tokens((5, 6, 7), (1, 2), (-0.5, -0.25))
    worked = episode(step(reply("Look.", call, tokens=tokens), Message("tool", "a.py", tool_call_id="c1")), step(reply("Done.", cost=0.5)))
    assert to_trajectory(LOOP, worked) == {
        "schema_version": "ATIF-v1.7",
        "session_id": "l",
        "trajectory_id": "l-2-solve",
        "agent": {"name": "codagent", "version": __version__, "model_name": "tiny"},
        "steps": [
            {"step_id": 1, "source": "system", "message": "Be brief."},
            {"step_id": 2, "source": "user", "message": "Mend it."},
            {
                "step_id": 3,
                "source": "agent",
                "message": "Look.",
                "tool_calls": [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"command": "ls"}}],
                "observation": {"results": [{"source_call_id": "c1", "content": "a.py"}]},
                "metrics": {
                    "prompt_tokens": 3,
                    "completion_tokens": 2,
                    "cost_usd": 0.25,
                    "prompt_token_ids": [5, 6, 7],
                    "completion_token_ids": [1, 2],
                    "logprobs": [-0.5, -0.25],
                    "extra": TOLD,
                },
                "llm_call_count": 1,
                "extra": {"policy": "tiny text", "stop": "tool_calls", "seconds": 0.5},
            },
            {
                "step_id": 4,
                "source": "agent",
                "message": "Done.",
                "metrics": {"prompt_tokens": 10, "completion_tokens": 4, "cost_usd": 0.5, "extra": {**TOLD, "unfit": "text only"}},
                "llm_call_count": 1,
                "extra": {"policy": "tiny text", "stop": "stop", "seconds": 0.5},
            },
        ],
        "final_metrics": {"total_prompt_tokens": 13, "total_completion_tokens": 6, "total_cost_usd": 0.75, "total_steps": 4},
        "extra": {
            "group": "g",
            "environment": "repository",
            "start_commit": "abc",
            "kind": "solve",
            "position": 2,
            "task": "t",
            "instruction": "mend it",
            "notes_before": "old",
            "reward": 0.5,
            "passed": False,
            "end": "finished",
            "commit": "def",
        },
    }


def test_every_kind_of_step_follows_the_rules_of_the_format():
    calls = (ToolCall("c1", "bash", "{"), ToolCall("c2", "read", '{"path": "a"}'), ToolCall("c3", "finish", ""))
    answers = (Message("tool", "error", tool_call_id="c1"), Message("tool", "ok", tool_call_id="other"))
    shown = Message("assistant", "like this", (ToolCall("c0", "bash", "{}"),))
    worked = episode(
        step(reply("", *calls), *answers), step(reply("so"), Message("user", "go on")), prompt=(*PROMPT, shown, Message("tool", "x"))
    )
    document = to_trajectory(LOOP, worked)
    assert_follows_the_rules(document)
    assert [each["source"] for each in document["steps"]] == ["system", "user", "agent", "user", "agent", "agent"]


@pytest.mark.parametrize("raw", ['{"command": "l', "[1]", '"ls"', "null", "[" * 5000])
def test_arguments_that_are_no_object_are_kept_as_text(raw):
    (told,) = agent_steps(step(reply("", ToolCall("c", "bash", raw))))
    assert told["tool_calls"] == [{"tool_call_id": "c", "function_name": "bash", "arguments": {}, "extra": {"raw_arguments": raw}}]


def test_arguments_are_read_as_the_tools_read_them():
    calls = (ToolCall("c", "bash", ""), ToolCall("d", "bash", '{"command": "a\nb", "seconds": NaN, "\\ud800": 1e999}'))
    (told,) = agent_steps(step(reply("", *calls)))
    assert [call["arguments"] for call in told["tool_calls"]] == [{}, {"command": "a\nb", "seconds": None, "?": None}]


def test_arguments_nested_to_any_depth_can_be_written():
    for depth in range(100, 1100, 10):
        call = ToolCall("c", "bash", '{"a":' * depth + "1" + "}" * depth)
        assert_follows_the_rules(to_trajectory(LOOP, episode(step(reply("", call)))))


def test_a_call_that_was_broken_off_says_so_and_one_that_was_not_answered_has_no_result():
    broken = step(reply("", ToolCall("c", "bash", "{}")), Message("tool", "error: interrupted", tool_call_id="c"), end="interrupted")
    unanswered = step(reply("", ToolCall("d", "bash", "{}")))
    document = to_trajectory(LOOP, replace(episode(broken, unanswered, end="interrupted"), outcome=None, commit=None))
    first, second = document["steps"][2:]
    assert first["observation"] == {"results": [{"source_call_id": "c", "content": "error: interrupted"}]}
    assert "observation" not in second
    assert document["extra"]["end"] == "interrupted"
    assert not {"reward", "passed", "commit"} & set(document["extra"])


def test_what_comes_back_for_a_reply_without_calls_names_no_call():
    (told,) = agent_steps(step(reply("left"), Message("user", "You fell.")))
    assert told["observation"] == {"results": [{"content": "You fell."}]}
    assert "tool_calls" not in told


def test_a_reply_says_how_it_was_sampled_where_its_message_does_not_and_whether_its_context_was_shortened():
    first, second = agent_steps(step(reply("so", raw="<think>hm</think>so")), step(reply(), context=PROMPT))
    assert (first["extra"]["raw"], second["extra"].get("raw")) == ("<think>hm</think>so", None)
    assert (first["extra"].get("context_shortened"), second["extra"]["context_shortened"]) == (None, True)


def test_ids_that_do_not_fit_together_are_left_out_and_what_is_no_number_is_too():
    torn = replace(reply(tokens=Tokens((5,), (1, 2), (-0.5, float("nan")))), cost_usd=float("nan"))
    document = to_trajectory(LOOP, replace(episode(step(torn)), outcome=Outcome(float("inf"), False, "")))
    assert document["steps"][2]["metrics"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "extra": {**TOLD, "unfit": "ids, logprobs and counts do not agree"},
    }
    assert "total_cost_usd" not in document["final_metrics"]
    assert "reward" not in document["extra"]


def test_the_cost_of_an_episode_is_known_when_that_of_every_reply_is():
    document = to_trajectory(LOOP, episode(step(reply()), step(reply(cost=None))))
    assert document["final_metrics"] == {"total_prompt_tokens": 20, "total_completion_tokens": 8, "total_steps": 4}


def test_replies_that_a_prompt_shows_are_copied_and_not_counted():
    document = to_trajectory(LOOP, episode(step(reply()), prompt=(*PROMPT, Message("assistant", "like this"))))
    assert document["steps"][2] == {"step_id": 3, "source": "agent", "message": "like this", "is_copied_context": True}
    assert document["final_metrics"]["total_completion_tokens"] == 4


def test_bytes_that_were_no_text_become_question_marks_and_all_else_stays():
    output = b"\xff\x1b[2J <b>\xe2\x98\x83".decode(errors="surrogateescape")
    (told,) = agent_steps(step(reply(), Message("user", output)))
    assert told["observation"]["results"] == [{"content": "?\x1b[2J <b>☃"}]
    assert to_json_value({"\udcff": [1.5, float("nan"), ["\udcff"], (1, 2), None, True]}) == {"?": [1.5, None, ["?"], (1, 2), None, True]}
