"""The lines of a run and of a loop."""

from codagent.cli.terminal.progress import ProgressLines
from codagent.runner.display import LoopView
from codagent.store.ledger import Spent
from codagent.types import Episode, Limits, Message, Observation, Outcome, Reply, Sampling, Step, Task

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


def test_the_end_of_an_attempt_is_told_in_plain_words(capsys):
    lines = ProgressLines()
    lines.on_episode_end(attempt(0, ONE, end="steps", outcome=Outcome(0.5, False, "", ("t.py::test_a",), 2)))
    lines.on_episode_end(attempt(0, ONE, end="model", cause="the server is down"))
    assert capsys.readouterr().err.splitlines() == [
        "stopped: 0 steps used up",
        "checks: 1 of 2 pass; failing: test_a",
        "ended: the server is down",
    ]
