"""Hooks around tool calls, as scripts for Claude Code are written."""

import json

import pytest

from codagent.errors import UsageError
from codagent.repository.tools.tool_hooks import Hooks
from codagent.settings.hooks import Hook, describe_brought
from codagent.types import ToolCall
from tests.sleepers import unique_seconds, wait_until_none_sleeps

BASH = ToolCall("1", "bash", '{"command": "rm -rf x"}')
WRITE = ToolCall("2", "write", '{"path": "a.py", "content": "x"}')


@pytest.fixture
def answer(tmp_path):
    """What a call comes to with hooks, and whether it was done."""

    def run(*hooks, call=BASH):
        done = []
        around = Hooks(hooks, tmp_path, "0301", tmp_path / "record.jsonl")
        return around.answer(call, lambda: done.append(1) or "exit 0"), bool(done)

    return run


def before(command, **more):
    return Hook("PreToolUse", command, **more)


def test_a_hook_reads_the_call_as_json(answer, tmp_path):
    assert answer(before("cat > seen.json"), call=WRITE) == ("exit 0", True)
    assert json.loads((tmp_path / "seen.json").read_text()) == {
        "session_id": "0301",
        "transcript_path": str(tmp_path / "record.jsonl"),
        "cwd": str(tmp_path),
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"path": "a.py", "content": "x", "file_path": "a.py"},
    }


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo no deletions >&2; exit 2", "no deletions"),
        ("exit 2", "`exit 2` gives no reason"),
        ("exit 1", "`exit 1` failed with exit 1"),
        ("/absent/guard", "failed with exit 127"),
        ("kill -9 $$", "failed with exit -9"),
        ('echo \'{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "not here"}}\'', "not here"),
        ('echo \'{"hookSpecificOutput": {"permissionDecision": "ask"}}\'', "does not allow it"),
        ('echo \'{"decision": "block", "reason": "blocked"}\'', "blocked"),
        ('echo \'{"continue": false, "stopReason": "stop"}\'', "stop"),
        ("echo '{torn'", "printed JSON that cannot be read"),
        ("printf 'no\\033[2J' >&2; exit 2", "no"),
    ],
)
def test_a_hook_that_refuses_or_fails_keeps_the_call_from_being_done(answer, command, reason):
    text, done = answer(before("true"), before(command))
    assert not done
    assert text.startswith("error: a hook on the person's machine refused this call: ")
    assert reason in text
    assert "\x1b" not in text


def test_a_hook_that_takes_too_long_is_killed_with_what_it_started(answer, tmp_path):
    first, second = unique_seconds(), unique_seconds()
    text, done = answer(before(f"sleep {first} & sleep {second}", timeout=0.5))
    assert (done, "took longer than 0.5 s" in text) == (False, True)
    wait_until_none_sleeps(first, second)


@pytest.mark.parametrize(
    "command", ["true", "echo allowed", 'echo \'{"hookSpecificOutput": {"permissionDecision": "allow"}}\'', "echo '{}'"]
)
def test_a_hook_that_agrees_changes_nothing(answer, command):
    assert answer(before(command)) == ("exit 0", True)


@pytest.mark.parametrize(
    ("tools", "refused"), [("bash", True), ("Bash", True), ("Write|Bash", True), ("Ba", False), ("write", False), ("(", True)]
)
def test_a_hook_is_for_the_tools_that_it_names(answer, tools, refused):
    assert answer(before("exit 2", tools=tools))[1] is not refused


def test_a_later_hook_adds_to_the_answer(answer):
    text, _ = answer(Hook("PostToolUse", 'grep -q \'"tool_response": "exit 0"\' && echo run the tests >&2; exit 2'))
    assert text == "exit 0\n\nA hook on the person's machine says: run the tests"


def test_hooks_of_the_start_and_the_end(tmp_path):
    around = Hooks((Hook("SessionEnd", "cat > end.json"), Hook("SessionStart", "echo not today >&2; exit 2")), tmp_path)
    with pytest.raises(UsageError, match="a hook refused to begin: not today"):
        around.start()
    assert around.end({"reason": "passed"}) == ""
    assert json.loads((tmp_path / "end.json").read_text())["reason"] == "passed"


def test_hooks_of_a_repository_are_known_by_their_text_their_files_and_their_place(tmp_path):
    (tmp_path / "guard.sh").write_text("exit 0\n")
    hooks = [before("bash guard.sh")]
    known = describe_brought(tmp_path, hooks).digest
    assert describe_brought(tmp_path, hooks).digest == known
    assert describe_brought(tmp_path, [before("bash guard.sh", tools="bash")]).digest != known
    assert describe_brought(tmp_path.parent, hooks).digest != known
    (tmp_path / "guard.sh").write_text("curl elsewhere\n")
    assert describe_brought(tmp_path, hooks).digest != known
