from dataclasses import replace

import pytest

from codagent.errors import UsageError
from codagent.repository.gate.pytest_run import TestReport
from codagent.types import CommandResult
from codagent_train.tasks.checking import Baseline, excerpt, judge_bug, parse_check, refuse_unfit

INSTALL = "; have it installed by [sandbox] setup in a codagent.toml"
BASE = Baseline({"t.py::a": "passed", "t.py::b": "passed", "t.py::c": "skipped"}, 10.0)
RESULT = CommandResult(1, "", timed_out=False, seconds=1.0)
OUTPUT = """\
=================================== FAILURES ===================================
___________________________________ test_a ____________________________________
tests/test_x.py:5: in test_a
    assert mend(1) == 2
           ^^^^^^^
src/x.py:7: in mend
    return secret(1)
E   TypeError: not so
E    and more
_______________________________ TestB.test_b[1] _______________________________
tests/test_x.py:9: in test_b
    assert 1 == 2
E   assert 1 == 2
=========================== short test summary info ============================
"""


def report(code=1, **outcomes):
    return TestReport({**BASE.outcomes, **{f"t.py::{name}": outcome for name, outcome in outcomes.items()}}, collected=True, code=code)


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (report(a="failed"), "task"),
        (report(code=0), "not noticed"),
        (report(a="failed", b="failed"), "breaks too much"),
        (report(a="skipped"), "changes other tests"),
        (report(c="failed"), "changes other tests"),
        (report(code=None, a="failed"), "breaks the run"),
        (report(a="failed", d="failed"), "breaks the run"),
        (TestReport({}, uncollected={"t.py": "failed"}, collected=True, code=2), "breaks the run"),
    ],
)
def test_a_bug_makes_a_task_when_a_few_tests_fail_by_it_and_no_other_changes(run, wanted):
    assert judge_bug(RESULT, run, BASE) == wanted


def test_a_bug_that_hangs_makes_no_task():
    assert judge_bug(CommandResult(124, "", timed_out=True, seconds=10.0), report(a="failed"), BASE) == "hangs"


@pytest.mark.parametrize(
    ("path", "why", "wanted"),
    [
        ("shop/errors.py", "reads a test", "task"),  # as it does without the bug, to show a traceback
        ("shop/errors.py", "ends the run", "breaks the run"),
        ("shop/prices.py", "reads a test", "breaks the run"),
    ],
)
def test_what_is_suspicious_without_the_bug_does_not_count(path, why, wanted):
    base = replace(BASE, suspicious={"shop/errors.py": "reads a test"})
    assert judge_bug(RESULT, replace(report(a="failed"), suspicious={path: why}), base) == wanted


@pytest.mark.parametrize(
    ("uncollected", "wanted"),
    [({"tests/test_ipython.py": "skipped"}, "task"), ({}, "breaks the run"), ({"tests/test_ipython.py": "failed"}, "breaks the run")],
)
def test_a_file_that_skips_itself_without_the_bug_does_not_count(uncollected, wanted):
    base = replace(BASE, uncollected={"tests/test_ipython.py": "skipped"})
    assert judge_bug(RESULT, replace(report(a="failed"), uncollected=uncollected), base) == wanted


def test_a_file_that_skips_itself_needs_no_network_because_a_test_names_it():
    skipped = TestReport({"t.py::a": "passed"}, uncollected={"t.py": "skipped"}, collected=True, code=0)
    refuse_unfit(CommandResult(0, "URLError is raised by test_url", timed_out=False, seconds=1.0), skipped)


def test_an_excerpt_has_the_line_of_the_test_and_the_error_and_no_line_of_the_code():
    assert excerpt(OUTPUT, "tests/test_x.py::test_a") == "assert mend(1) == 2\nTypeError: not so"
    assert excerpt(OUTPUT, "tests/test_x.py::TestB::test_b[1]") == "assert 1 == 2\nassert 1 == 2"
    assert excerpt(OUTPUT, "tests/test_x.py::test_c") == ""


@pytest.mark.parametrize("check", ["make test", "pytest -q; true", "tox"])
def test_a_check_that_is_not_pytest_is_refused(check):
    with pytest.raises(UsageError, match="is not a pytest command"):
        parse_check(check)


@pytest.mark.parametrize(
    ("run", "output", "message"),
    [
        (TestReport(collected=True, code=5), "no tests ran", "pytest finds no test in it"),
        (report(a="failed"), "E   assert 1 == 2", "1 of its 3 tests fail as it is, first t.py::a: assert 1 == 2"),
        (
            report(a="failed"),
            "E   socket.gaierror: [Errno -3] x",
            "its tests need the network, which the sandbox does not have, first t.py::a",
        ),
        (report(b="failed"), "E   httpx.ConnectError: x", "its tests need the network, which the sandbox does not have, first t.py::b"),
        (
            TestReport(uncollected={"t.py": "failed"}, code=2),
            "E   ModuleNotFoundError: No module named 'x'",
            f"its tests cannot be collected: ModuleNotFoundError: No module named 'x'{INSTALL}",
        ),
        (TestReport(uncollected={"t.py": "failed"}, code=2), "E   SyntaxError: x", "its tests cannot be collected: SyntaxError: x"),
        (
            TestReport(),
            "usage: x\nx: error: unrecognized arguments: --cov\n",
            "its tests do not run: x: error: unrecognized arguments: --cov",
        ),
        (TestReport(collected=True, code=3), "", "its tests do not run: pytest says nothing"),
    ],
)
def test_a_repository_that_does_not_fit_is_refused_in_one_sentence(run, output, message):
    with pytest.raises(UsageError) as refused:
        refuse_unfit(CommandResult(1, output, timed_out=False, seconds=1.0), run)
    assert str(refused.value) == message


def test_tests_that_pass_are_not_refused():
    refuse_unfit(RESULT, report(code=0))
