"""What the checks' runs come to, worked by hand."""

from __future__ import annotations

import pytest

from codagent.repository.gate.pytest_run import TestReport
from codagent.repository.gate.verdict import CheckVerdict, Run, grade_runs, judge

START = TestReport({"t.py::a": "passed", "t.py::b": "failed", "t.py::c": "skipped", "t.py::d": "xfailed"}, collected=True, code=1)
GOOD = {"t.py::a": "passed", "t.py::b": "passed", "t.py::c": "skipped", "t.py::d": "passed"}


def run(outcomes, code=0, **more):
    return Run("pytest", 0, "shown", TestReport(outcomes, collected=True, code=code, **more))


def test_all_of_the_starts_tests_pass():
    assert judge(run(GOOD), START) == CheckVerdict(1.0, {}, 4)


@pytest.mark.parametrize(
    ("change", "share", "failed"),
    [
        ({"t.py::b": "failed"}, 3 / 4, {"t.py::b": "fails"}),
        ({"t.py::b": "skipped"}, 3 / 4, {"t.py::b": "is skipped, as it was not at the start"}),
        ({"t.py::a": "xfailed"}, 3 / 4, {"t.py::a": "is xfailed, as it was not at the start"}),
        ({"t.py::d": "skipped"}, 1.0, {}),
        ({"t.py::a": ""}, 3 / 4, {"t.py::a": "did not run"}),
        ({"t.py::new": "failed"}, 4 / 5, {"t.py::new": "fails"}),
        ({"t.py::new": "skipped"}, 4 / 5, {"t.py::new": "is skipped, as it was not at the start"}),
        ({"u.py::new": "failed"}, 4 / 5, {"u.py::new": "fails"}),
        ({"u.py::new": "skipped"}, 1.0, {}),
    ],
)
def test_a_test_that_is_not_as_it_must_be(change, share, failed):
    assert judge(run(GOOD | change), START) == CheckVerdict(share, failed, 5 if share == 4 / 5 else 4)


def test_a_test_that_is_gone_fails():
    assert judge(run(dict.fromkeys(list(GOOD)[1:], "passed")), START) == CheckVerdict(3 / 4, {"t.py::a": "is gone"}, 4)


def test_tests_that_could_not_be_collected_at_the_start_are_required_once_they_are_there():
    start = TestReport({}, {"t.py": "failed"}, collected=True, code=2)
    assert judge(run({"t.py::a": "passed", "t.py::b": "failed"}), start) == CheckVerdict(1 / 2, {"t.py::b": "fails"}, 2)
    assert judge(run({"t.py::a": "passed", "t.py::b": "skipped"}), start).share == 1 / 2
    assert judge(run({"u.py::a": "passed"}, uncollected={"t.py": "failed"}), start).failed == {"t.py": "could not be collected"}
    assert judge(run({"u.py::a": "passed"}, uncollected={"t.py": "skipped"}), start).failed == {
        "t.py": "is skipped, as it was not at the start"
    }


def test_where_nothing_was_collected_at_the_start_all_that_is_there_is_required():
    assert judge(run({"t.py::a": "passed", "t.py::b": "skipped"}), TestReport()).share == 1 / 2


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (run(GOOD, code=None, running="t.py::b"), "the run broke off in t.py::b"),
        (run({}, code=None), "the run broke off"),
        (run(GOOD, trusted=False), "the runner does not report honestly: a test that must fail did not"),
    ],
)
def test_a_run_that_cannot_be_believed_is_worth_nothing(now, why):
    assert judge(now, START) == CheckVerdict(0.0, {"pytest": why})


def test_what_is_suspicious_counts_unless_it_was_so_at_the_start():
    suspicious = {"t.py::a": "an object of class Any agrees"}
    assert judge(run(GOOD, suspicious=suspicious), START) == CheckVerdict(3 / 4, suspicious, 4)
    assert judge(run(GOOD, suspicious=suspicious), TestReport(START.outcomes, suspicious=suspicious, collected=True)).failed == {}
    assert judge(run(GOOD, suspicious={"p.py": "is a plugin"}), START) == CheckVerdict(0.0, {"p.py": "is a plugin"}, 4)


def test_pytests_own_exit_code_counts_too():
    assert judge(run(GOOD, code=1), START) == CheckVerdict(4 / 5, {"pytest": "pytest ended with 1"}, 5)


def test_no_test_is_no_pass():
    assert judge(run({}, code=5), TestReport(collected=True)) == CheckVerdict(0.0, {"pytest": "no test ran"})


def test_another_command_is_judged_by_its_exit_code():
    assert judge(Run("make", 0, ""), TestReport()) == CheckVerdict(1.0, {})
    assert judge(Run("make", 2, ""), TestReport()) == CheckVerdict(0.0, {"make": "exit 2"})


def test_the_reward_is_the_mean_share_and_never_near_one_unless_all_pass():
    good, bad = Run("a", 0, "exit 0"), Run("b", 1, "exit 1\nno")
    assert grade_runs([good, good], (), ()).reward == 1.0
    assert grade_runs([good, bad], (), ()).reward == 0.5
    assert grade_runs([good] * 19 + [bad], (), ()).reward == 0.9
    assert grade_runs([good, run(GOOD | {"t.py::a": "failed"}, code=1)], (Run("a", 0, ""), Run("b", 0, "", START)), ()).reward == 7 / 8


def test_feedback_names_each_check_what_failed_beyond_its_output_and_what_was_put_back():
    said = grade_runs(
        [Run("a", 1, "exit 1\nno"), run(GOOD | {"t.py::a": ""}, code=2)], (Run("a", 1, ""), Run("b", 1, "", START)), ("x\x07.py",)
    )
    assert (said.failed, said.total) == (("a", "t.py::a"), 5)
    assert said.feedback == (
        "$ a\nexit 1\nno\n\n$ pytest\nFAILED t.py::a: did not run\nshown\n\n"
        "x\\x07.py does not count as you left it: the checks use what stood there at the start"
    )


def test_tests_of_another_runner_must_not_disappear():
    now = Run("go test", 0, "", listed={"TestA": True, "TestB": False})
    assert judge(now, TestReport(), {"TestA": True, "TestB": False}).failed == {}
    assert judge(now, TestReport(), {"TestC": False}).failed == {"TestC": "is gone"}
    assert judge(now, TestReport(), {"TestB": True}).failed == {"TestB": "is skipped, as it was not at the start"}


def test_a_test_that_no_longer_comes_to_its_assertions_is_not_believed():
    now = run(GOOD, twins={"t.py::a": "failed", "t.py::b": "skipped"})
    start = TestReport(START.outcomes, collected=True, code=1, twins={"t.py::a": "failed", "t.py::b": "failed"})
    assert judge(now, start).failed == {"t.py::b": "is not believed: it no longer comes to its assertions"}
    assert judge(now, START).failed == {}
