"""What comes next in a Ralph loop, on loops written by hand; a commit's tree is its first letter."""

import json

import pytest

from codagent.protocols import Stop
from codagent.runner.planning.schedule import UntilPassed
from codagent.types import Episode, Limits, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall

ONE, TWO = Task("one", "first", ("true",)), Task("two", "second", ("true",))
LIMITS = Limits(iterations=3, patience=2)


def solve(at, task, commit, reward, *, blocked="", failed=()):
    call = ToolCall("1", "finish", json.dumps({"summary": "", "blocked": blocked}))
    reply = Reply(Message("assistant", "", (call,)), "tool_calls", 1, 1, None, None, Sampling(), "p", "")
    step = Step(reply, Observation((), "finished"), 0.0)
    return Episode("solve", at, task, "", (), (step,), "finished", "", Outcome(reward, reward == 1.0, "", failed), commit)


def wrote(at, task, text):
    return Episode("notes", at, task, "", (), end="finished", notes_after=text)


def planned(*episodes, tasks=(ONE, TWO), limits=LIMITS):
    """The next task's id or the word that ends the loop, and what was said."""
    loop = Loop("l", "g", "repository", "m", "s0", episodes)
    schedule = UntilPassed(tasks, limits, tree_of=lambda commit: commit[0])
    following = schedule.next_task(loop)
    said = [line for line in (schedule.describe_progress(loop), getattr(following, "message", "")) if line]
    return (following.reason if isinstance(following, Stop) else following.id), said


def test_a_loop_begins_with_its_first_task_and_has_nothing_to_tell():
    assert planned() == ("one", [])


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        ([solve(0, ONE, "a1", 0.5)], "one"),
        ([solve(0, ONE, "a1", 1.0)], "two"),
        ([solve(0, ONE, "a1", 1.0), solve(1, TWO, "b1", 0.5)], "two"),
        ([solve(0, ONE, "a1", 1.0), solve(1, TWO, "b1", 1.0)], "passed"),
        ([solve(0, ONE, "a1", 0.1), solve(1, ONE, "b1", 0.2), solve(2, ONE, "c1", 0.3)], "two"),
        ([solve(0, ONE, "s1", 0.0), solve(1, ONE, "s2", 0.0)], "two"),
        ([solve(0, ONE, "s1", 0.0), solve(1, ONE, "s2", 0.0), solve(2, TWO, "b1", 1.0)], "stalled"),
        ([solve(at, ONE, "abc"[at], at / 10) for at in range(3)] + [solve(3, TWO, "d", 1.0)], "iterations"),
        ([solve(0, ONE, "s1", 0.0), solve(1, ONE, "s1", 0.0)] + [solve(at, TWO, "bcd"[at - 2], at / 10) for at in (2, 3, 4)], "stalled"),
    ],
    ids=[
        "a task that is not passed comes again",
        "a passed one gives way to the next",
        "which comes again in its turn",
        "all are passed",
        "a task whose iterations are over gives way too",
        "and so does one that stalls",
        "the loop then ends as that one did",
        "or as the one that used up its iterations",
        "or as the first of several",
    ],
)
def test_what_comes_next_follows_from_the_loop(episodes, expected):
    assert planned(*episodes)[0] == expected


def test_what_only_a_person_can_remove_ends_the_loop_before_the_next_task():
    stuck = [solve(at, ONE, "abc"[at], at / 10, blocked="the key is missing") for at in range(3)]
    word, said = planned(*stuck, limits=Limits(iterations=9))
    assert word == "blocked"
    assert "the key is missing" in said[-1]


def test_the_end_of_several_tasks_is_told_of_them_all():
    assert planned(solve(0, ONE, "a1", 1.0), solve(1, TWO, "b1", 1.0))[1][-1] == "every check of all 2 tasks passes"
    assert planned(solve(0, ONE, "a1", 1.0), tasks=(ONE,))[1][-1] == "every check passes after iteration 1"


def test_each_iteration_is_told_with_whether_it_was_progress():
    assert planned(solve(0, ONE, "a1", 0.5))[1] == ["iteration 1 of 3: progress: files were changed"]
    assert planned(solve(0, ONE, "s1", 0.5))[1] == ["iteration 1 of 3: no progress: the files are as they were at the start"]
    first_of_two = planned(solve(0, ONE, "a1", 1.0), solve(1, TWO, "b1", 0.0))[1]
    assert first_of_two == ["iteration 2, 1 of 3 at this task: progress: files were changed"]


def test_a_task_starts_where_the_best_attempt_at_the_one_before_ended():
    before = [solve(0, ONE, "a1", 0.5, failed=("x",)), solve(1, ONE, "b1", 0.1), solve(2, ONE, "c1", 0.2)]
    assert planned(*before, solve(3, TWO, "a2", 0.0))[1] == [
        "iteration 4, 1 of 3 at this task: no progress: the files are as they were at the start"
    ]


def test_notes_count_with_the_iteration_that_they_follow():
    episodes = [solve(0, ONE, "a1", 0.6), wrote(0, ONE, "x"), solve(1, ONE, "b1", 0.3), wrote(1, ONE, "y")]
    assert planned(*episodes)[1] == ["iteration 2 of 3: progress: notes on a result not seen before, score 0.30"]
    assert "no progress" in planned(*episodes[:3], wrote(1, ONE, "x"))[1][0]


def test_work_that_did_not_come_back_has_no_tree():
    lost = Episode("solve", 0, ONE, "", (), end="repository", outcome=Outcome(0.0, False, "too large"))
    assert planned(lost) == ("one", ["iteration 1 of 3: no progress: no work came back"])


def test_a_commit_is_looked_up_once():
    asked = []
    schedule = UntilPassed((ONE,), LIMITS, tree_of=lambda commit: asked.append(commit) or commit)
    loop = Loop("l", "g", "repository", "m", "s0", (solve(0, ONE, "a1", 0.5),))
    schedule.next_task(loop)
    schedule.next_task(loop)
    schedule.describe_progress(loop)
    assert sorted(asked) == ["a1", "s0"]
