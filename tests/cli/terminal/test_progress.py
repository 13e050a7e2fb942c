"""The lines of a run and of a loop."""

import json

import pytest

from codagent.cli.terminal.paint import count_columns, take_end
from codagent.cli.terminal.progress import ProgressLines, format_tokens
from codagent.protocols import PromptProgress, Restart
from codagent.runner.display import LoopView
from codagent.store.ledger import Spent
from codagent.types import Episode, Limits, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall

ONE, TWO = Task("one", "the first\nin more words"), Task("two", "the second")


def attempt(position, task, steps=(), **more):
    return Episode("solve", position, task, "", (), steps, **more)


def test_each_task_is_named_and_its_later_attempts_are_numbered(capsys):
    lines = ProgressLines()
    for episode in (attempt(0, ONE), attempt(1, ONE), attempt(2, TWO), attempt(3, TWO)):
        lines.on_episode_start(episode)
    assert capsys.readouterr().err.splitlines() == ["task: the first…", "iteration 2:", "task: the second", "iteration 4:"]


def test_a_loop_that_goes_on_does_not_name_its_task_anew(capsys):
    lines = ProgressLines()
    lines.watch(LoopView(Limits(), Spent, float, earlier=(attempt(0, ONE),)))
    lines.on_episode_start(attempt(1, ONE))
    assert capsys.readouterr().err == "iteration 2:\n"


def test_the_steps_of_an_attempt_that_goes_on_are_counted_on(capsys):
    reply = Reply(Message("assistant", "hm"), "stop", 1, 1, None, None, Sampling(), "m", "")
    step = Step(reply, Observation(()), 0.5)
    lines = ProgressLines()
    lines.watch(LoopView(Limits(), Spent, float, earlier=(attempt(0, ONE, steps=(step, step), end="interrupted"),)))
    lines.on_step(step)
    assert capsys.readouterr().err.startswith("  3  text")


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_step_that_got_no_answer_keeps_its_number_when_it_is_done_again(capsys, answered):
    reply = Reply(Message("assistant", "hm"), "stop", 1, 1, None, None, Sampling(), "m", "")
    whole, broken = Step(reply, Observation(()), 0.5), Step(reply, Observation((), "interrupted"), 0.0)
    lines = ProgressLines()
    lines.watch(LoopView(Limits(), Spent, float, earlier=(attempt(0, ONE, steps=(*[whole] * answered, broken), end="interrupted"),)))
    lines.on_step(whole)
    assert capsys.readouterr().err.startswith(f"  {answered + 1}  text")


def test_the_end_of_an_attempt_is_told_in_plain_words(capsys):
    lines = ProgressLines()
    lines.on_episode_end(attempt(0, ONE, end="steps", outcome=Outcome(0.5, False, "", ("t.py::test_a",), 2)))
    lines.on_episode_end(attempt(0, ONE, end="model", cause="the server is down"))
    assert capsys.readouterr().err.splitlines() == [
        "stopped: 0 steps used up",
        "checks: 1 of 2 pass; failing: test_a",
        "ended: the server is down",
    ]


@pytest.mark.parametrize(("text", "columns"), [("", 0), ("ab", 2), ("世界", 4), ("e\u0301", 1), ("a\u200bb", 2), ("ＡＢ", 4)])
def test_columns_are_counted_as_a_terminal_does(text, columns):
    assert count_columns(text) == columns


@pytest.mark.parametrize(("columns", "end"), [(0, ""), (1, ""), (2, "界"), (3, "界"), (4, "世界"), (9, "a世界"), (-3, "")])
def test_the_end_of_a_text_is_taken_by_columns(columns, end):
    assert take_end("a世界", columns) == end


@pytest.mark.parametrize("command", ["x" * 200, "世界" * 100, "short"])
def test_a_step_takes_one_line_of_the_terminal(monkeypatch, capsys, command):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")
    call = ToolCall("1", "bash", json.dumps({"command": command}))
    reply = Reply(Message("assistant", "", (call,)), "tool_calls", 1234, 56, None, None, Sampling(), "m", "")
    ProgressLines().on_step(Step(reply, Observation((Message("tool", "exit 0", tool_call_id="1"),)), 0.5))
    lines = capsys.readouterr().err.replace("\r\x1b[K", "").rstrip("\n").split("\n")
    assert max(map(count_columns, lines)) < 90
    assert lines[0].endswith("→ exit 0 · 0.5 s · 1,234 tokens in, 56 out")


def test_one_token_is_one():
    reply = Reply(Message("assistant", "", ()), "stop", 1, 1, None, None, Sampling(), "m", "")
    assert format_tokens(reply) == "1 token in, 1 out"


@pytest.fixture
def on_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    return ProgressLines()


def latest(capsys):
    """What the line that changes shows now."""
    return capsys.readouterr().err.rpartition("\r\x1b[K")[2]


def test_a_command_that_runs_is_shown_with_a_clock_and_its_last_line(on_terminal, capsys):
    call = ToolCall("1", "bash", '{"command": "make"}')
    on_terminal.on_reply(Reply(Message("assistant", "", (call,)), "tool_calls", 1, 1, None, None, Sampling(), "m", ""), None)
    assert latest(capsys) == "  bash make · 0 s"
    on_terminal.on_output("10%\r50%\nhalf way \x1b[31mthere\n\n")
    assert latest(capsys) == "  bash make · 0 s  … half way there"
    on_terminal.on_output("x" * 500)
    assert count_columns(latest(capsys)) < 60


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        ("", "  waiting for the model · 0 s"),
        (PromptProgress("40% of 9,000 tokens"), "  the model reads: 40% of 9,000 tokens · 0 s"),
        ("Hello\nyou", "  … Hello you"),
    ],
)
def test_what_the_model_does_is_shown(on_terminal, capsys, piece, shown):
    on_terminal.on_episode_start(attempt(0, ONE))
    on_terminal._drawn = 0.0
    on_terminal.on_text(piece)
    assert latest(capsys) == shown


def test_why_a_reply_is_asked_for_again_is_said_once(capsys):
    lines = ProgressLines()
    for piece in ("Half", Restart("asking m again: it is busy"), "", Restart("asking m again: it is busy"), "Whole"):
        lines.on_text(piece)
    assert capsys.readouterr().err == "  asking m again: it is busy\n"
    assert lines._tail.shown() == "Whole"
