"""The lines of a group of loops."""

import os
import pty

import pytest

from codagent.cli.terminal.group import GroupBoard
from codagent.protocols import Stop
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall

TASK = Task("t", "do it")


def reply(name, arguments):
    return Reply(Message("assistant", "", (ToolCall("1", name, arguments),)), "tool_calls", 1, 1, None, None, Sampling(), "m", "")


@pytest.fixture
def member(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        board = GroupBoard()
        yield board.member("2: ")
        board.close()
    os.close(ours)


def test_a_line_says_what_a_loop_does(member):
    assert member.line() == "2: waiting"
    member.on_episode_start(Episode("solve", 0, TASK, "", ()))
    assert member.line() == "2: iteration 1    waiting for the model"
    member.on_reply(reply("bash", '{"command": "pytest -q\\n\\u001b[2J"}'), None)
    assert member.line() == "2: iteration 1    bash pytest -q…"
    member.on_step(Step(reply("finish", "{}"), Observation((), "finished"), 0.1))
    assert member.line() == "2: iteration 1    checking"


@pytest.mark.parametrize(
    ("outcomes", "end", "line"),
    [
        ([Outcome(0.5, False, "")], Stop("iterations"), "2: iteration 1  ▅  stopped: all iterations are used up"),
        ([Outcome(0.0, False, ""), Outcome(1.0, True, "")], Stop("passed"), "2: iteration 2  ▁●  every check passes"),
        ([None], TASK, "2: iteration 1  ·  waiting"),
    ],
)
def test_a_line_has_the_scores_and_the_end(member, outcomes, end, line):
    for position, outcome in enumerate(outcomes):
        member.on_episode_end(Episode("solve", position, TASK, "", (), end="finished", outcome=outcome))
    member.on_iteration(Loop("a", "a", "repository", "m", "c"), end)
    assert member.line() == line


def test_a_loop_that_was_stopped_says_so(member):
    member.on_episode_end(Episode("solve", 0, TASK, "", (), end="interrupted"))
    assert member.line() == "2: iteration 1    interrupted"
