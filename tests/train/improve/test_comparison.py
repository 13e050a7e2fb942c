"""What is told of loops before and after, on values worked by hand."""

import pytest

from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall
from codagent_train.improve.comparison import LoopResult, compare, mean_of, measure_loops, read_results
from codagent_train.improve.page import describe_difference
from codagent_train.intervals import Estimate


def attempt(position, reward, *calls):
    """An attempt of one step for each of `calls`: whether the answer holds a call."""
    steps = tuple(
        Step(
            Reply(
                Message("assistant", "x", (ToolCall("c", "finish", "{}"),) if call else ()),
                "stop", 10, 5, 0.0, None, Sampling(), "p", "x",
            ),
            Observation(()),
            0.1,
        )
        for call in calls
    )  # fmt: skip
    return Episode("solve", position, Task("shop-0001", "mend it"), "", (), steps, "finished", outcome=Outcome(reward, reward == 1.0, ""))


def write_loop(folder, name, end, *attempts):
    file = folder / "loops" / name / "record.jsonl"
    file.parent.mkdir(parents=True)
    record = Record(file, Loop(name, name, "repository", "m", "c"))
    for episode in attempts:
        record.on_episode_start(Episode("solve", episode.position, episode.task, "", ()))
        for step in episode.steps:
            record.on_reply(step.reply, None)
            record.on_step(step)
        record.on_episode_end(episode)
    record.finish(end)
    record.close()


def test_a_task_has_its_first_attempt_all_of_them_and_the_answers_without_code(tmp_path):
    write_loop(tmp_path, "l", "passed", attempt(0, 0.4, False, True), attempt(1, 1.0, True, True))
    assert read_results(tmp_path) == {"shop-0001": LoopResult("shop-0001", 0.0, 1.0, 0.4, 0.25, 20)}


def test_each_loop_of_a_group_counts_and_one_that_was_broken_off_does_not(tmp_path):
    write_loop(tmp_path, "a", "passed", attempt(0, 1.0, True))
    write_loop(tmp_path, "b", "iterations", attempt(0, 0.2, True))
    write_loop(tmp_path, "c", "interrupted", attempt(0, 0.3, True))
    write_loop(tmp_path, "d", "iterations")
    assert [result.reward for result in measure_loops(tmp_path)] == [1.0, 0.2]


def test_a_difference_is_paired_by_task():
    before = {name: LoopResult(name, 0.0, 0.0, 0.5, 0.0, 1) for name in "abc"}
    after = {name: LoopResult(name, float(name == "a"), 1.0, 0.5, 0.0, 1) for name in "abd"}
    assert compare(before, after, "first").mean == 0.5
    assert compare(before, after, "reward") == Estimate(0.0, 0.0)
    assert compare(before, {"a": after["a"]}, "first") is None
    assert mean_of(after, "first") == pytest.approx(1 / 3)
    assert mean_of({}, "first") is None


@pytest.mark.parametrize(
    ("estimate", "begins"),
    [
        (None, "There are too few"),
        (Estimate(0.2, 0.1), "With the adapter, more held-out tasks"),
        (Estimate(0.1, 0.2), "It is not shown"),
        (Estimate(-0.3, 0.1), "With the adapter, fewer held-out tasks"),
    ],
)
def test_the_verdict_says_no_more_than_the_interval(estimate, begins):
    assert describe_difference(estimate).startswith(begins)
