"""The rules that end a loop, on sequences worked by hand. An iteration is written as tree, reward, failures, notes."""

import pytest

from codagent.runner.planning.stop import Iteration, find_blocker, is_stalled, progress, verdict
from codagent.types import Limits


def left(tree, reward=0.0, failed="", notes="", *, blocker=""):
    return Iteration(tree, reward, tuple(failed.split()), reward == 1.0, notes, blocker)


def brought(*history, start="s"):
    """Of each iteration, whether it was progress."""
    return [progress(history[:end], start)[0] for end in range(1, len(history) + 1)]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([left("a")], [True]),
        ([left("s")], [False]),
        ([left("")], [False]),
        ([left("s"), left("a")], [False, False]),
        ([left("s", 0.0, "x y"), left("a", 0.3, "y")], [False, True]),
        ([left("a", 0.3, "x"), left("b", 0.6, "x")], [True, True]),
        ([left("a", 0.6, "x"), left("b", 0.3, "x")], [True, False]),
        ([left("a", 0.6, "x"), left("b", 0.6, "y")], [True, True]),
        ([left("a", 0.6, "x y"), left("b", 0.6, "y x")], [True, False]),
        ([left("a", 0.6, "x"), left("a", 0.9, "y")], [True, False]),
        ([left("a", 0.6, "x"), left("s", 0.9, "y")], [True, False]),
        ([left("a", 0.6, "x"), left("b", 0.3)], [True, False]),
        ([left("a", 0.6, "x"), left("b", 0.8, "x"), left("c", 0.7, "x")], [True, True, False]),
    ],
    ids=[
        "the first change is progress",
        "the start's own files are not",
        "neither is work that did not come back",
        "a change that the gates do not see, after none",
        "a change that they see, after none",
        "a better reward",
        "a worse one",
        "another failure",
        "the same failures in another order",
        "other verdicts on the same files",
        "back to the start",
        "no judgement is no verdict",
        "better than the last but one is not better than the best",
    ],
)
def test_progress_is_other_files_with_a_better_or_another_verdict(history, expected):
    assert brought(*history) == expected


def test_going_back_and_forth_is_no_progress():
    flapping = [left("a", 0.3, "x"), left("b", 0.6, "y"), left("a", 0.3, "x"), left("b", 0.6, "y")]
    assert brought(*flapping) == [True, True, False, False]
    with_other_files = [left("a", 0.3, "x"), left("b", 0.6, "y"), left("c", 0.3, "x"), left("d", 0.6, "y")]
    assert brought(*with_other_files) == [True, True, False, False]
    with_other_notes = [left("a", 0.3, "x", "1"), left("b", 0.6, "y", "2"), left("c", 0.3, "x", "3"), left("d", 0.6, "y", "4")]
    assert brought(*with_other_notes) == [True, True, False, False]


def test_notes_alone_are_no_progress():
    assert brought(left("a", 0.3, "x", "1"), left("a", 0.3, "x", "2"), left("a", 0.3, "x", "3")) == [True, False, False]
    assert brought(left("a", 0.3, "x", "1"), left("b", 0.3, "x", "2"), left("c", 0.3, "x", "3")) == [True, False, False]


def test_a_worse_verdict_is_progress_when_the_notes_learn_from_it():
    assert brought(left("a", 0.6, "x", "1"), left("b", 0.3, "x", "2")) == [True, True]
    assert brought(left("a", 0.6, "x", "1"), left("b", 0.3, "x", "1")) == [True, False]


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ([left("a")], "progress: files were changed"),
        ([left("s")], "no progress: the files are as they were at the start"),
        ([left("")], "no progress: no work came back"),
        ([left("a"), left("b"), left("a")], "no progress: the files are as iteration 1 left them"),
        ([left("a", 0.25), left("b", 0.5)], "progress: score 0.50, the best so far was 0.25"),
        ([left("a", 0.5, "x"), left("b", 0.5, "y z")], "progress: other checks fail than before, 2 in all"),
        ([left("a", 0.5, "", "1"), left("b", 0.25, "", "2")], "progress: notes on a result not seen before, score 0.25"),
        ([left("a", 0.5), left("b", 0.5)], "no progress: other files, but the same result"),
        ([left("a", 0.5, "x y"), left("b", 0.5, "x y")], "no progress: other files, but the same 2 checks fail"),
        ([left("a", 0.5, "x"), left("b", 0.5, "x")], "no progress: other files, but the same check fails"),
    ],
)
def test_the_log_is_told_why(history, why):
    assert progress(history, "s")[1] == why


def test_a_loop_stalls_after_patience_iterations_without_progress():
    history = [left("a", 0.5, "x"), left("b", 0.5, "x"), left("c", 0.5, "x")]
    assert [is_stalled(history[:end], 2) for end in range(4)] == [False, False, False, True]


def test_progress_in_between_starts_the_count_again():
    history = [left("s"), left("s"), left("a", 0.3), left("a", 0.3), left("a", 0.3), left("a", 0.3)]
    assert [is_stalled(history[:end], 3, "s") for end in range(1, 7)] == [False, False, False, False, False, True]


def test_with_a_patience_of_one_the_first_iteration_without_progress_is_the_last():
    assert is_stalled([left("s")], 1, "s")
    assert not is_stalled([left("a")], 1, "s")
    assert is_stalled([left("a"), left("a")], 1, "s")


def test_flapping_stalls():
    history = [left("ab"[k % 2], 0.5, "xy"[k % 2]) for k in range(7)]
    assert [is_stalled(history[:end], 5) for end in range(1, 8)] == [False] * 6 + [True]


def test_a_slow_but_steady_improvement_never_stalls():
    history = [left(f"{k}", k / 1000, "x") for k in range(200)]
    assert not any(is_stalled(history[:end], 1, "s") for end in range(len(history) + 1))


def test_an_improvement_every_fifth_time_does_not_stall_at_patience_five():
    history = [left(f"{k}", (k // 5) / 100, "x") for k in range(100)]
    assert not any(is_stalled(history[:end], 5, "s") for end in range(len(history) + 1))
    assert is_stalled(history[:5], 4, "s")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["no key", "no key", "no key"], True),
        (["The database password is missing.", "missing: the database  password", "The database password is still MISSING"], True),
        (["pip needs the network, which is off", "the network is off, and pip needs it", "pip needs the network"], True),
        (["the disk is full", "the tests contradict the task", "no key"], False),
        (["The file a.py is not writable", "The service b is not documented", "The test c is not right"], False),
        (["no key", "", "no key"], False),
        (["no key", "no key"], False),
        (["None", "none.", "NONE"], False),
        (["N/A", "n/a", "no blockers"], False),
    ],
)
def test_a_blocker_is_one_that_is_said_three_times_alike(said, expected):
    assert (find_blocker([left("a", blocker=blocker) for blocker in said]) is not None) == expected


def test_the_latest_of_the_blockers_is_told_on_one_line():
    assert find_blocker([left("a", blocker="no key")] * 2 + [left("a", blocker="no\n key ")]) == "no key"


def test_how_often_is_the_callers_to_say():
    assert find_blocker([left("a", blocker="no key")], times=1) == "no key"


def test_a_loop_without_iterations_goes_on():
    assert verdict([], Limits()) is None


LIMITS = Limits(iterations=4, patience=3)


@pytest.mark.parametrize(
    ("history", "word"),
    [
        ([left("a", 0.5), left("b", 1.0)], "passed"),
        ([left("a", 0.5, blocker="no key")] * 3, "blocked"),
        ([left("a", 0.5)] * 2 + [left("b", 1.0)], "passed"),
        ([left("a", 0.5)] * 4, "stalled"),
        ([left("a", 0.1), left("b", 0.2), left("c", 0.3), left("d", 0.4)], "iterations"),
        ([left("a", 0.1), left("b", 0.2), left("c", 0.3), left("d", 1.0)], "passed"),
        ([left("a", 0.1), left("b", 0.2), left("c", 0.3)], None),
    ],
)
def test_the_first_rule_that_holds_ends_the_loop(history, word):
    over = verdict(history, LIMITS, "s")
    assert (over and over[0]) == word


def test_a_start_that_passes_is_passed_and_not_stalled():
    assert verdict([left("s", 1.0)], Limits(patience=1), "s") == ("passed", "every check passes after iteration 1")


def test_a_person_is_told_what_to_do_next():
    assert "raise --patience" in verdict([left("s")] * 3, LIMITS, "s")[1]
    assert "no key" in verdict([left("a", blocker="no key")] * 3, LIMITS, "s")[1]
    assert "--resume" in verdict([left("a"), left("b", 0.1)], Limits(iterations=2), "s")[1]
