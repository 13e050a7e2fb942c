"""What is kept of the output of pytest."""

import subprocess
import sys

import pytest

from codagent.pytest_output import summarize_pytest

TESTS = """\
import warnings
import pytest

def add(numbers):
    warnings.warn("add is old")
    return sum(numbers) + 1

def test_sum():
    noise = 1

    print("said first")
    assert add([1, 2]) == 3

@pytest.mark.parametrize("number", range(8))
def test_one(number):
    only_here = number
    print("said later")
    assert add([number]) == number

def test_long():
    assert list(range(30)) == []

def test_that_passes():
    pass

@pytest.fixture
def broken():
    raise OSError("no disk")

def test_broken(broken):
    pass
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tests")
    (folder / "test_x.py").write_text(TESTS)

    def run_tests(*options):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return f"$ pytest\nexit 1\n{result.stdout}"

    return run_tests


@pytest.mark.parametrize("options", [["-q"], ["-v"], ["-q", "-rA"], ["--tb=long"]], ids=" ".join)
def test_the_first_failure_is_shown_with_its_code_and_what_it_printed(run, options):
    kept = summarize_pytest(run(*options, "-k", "test_sum or test_one or passes"))
    lines = kept.splitlines()
    assert lines[:2] == ["$ pytest", "exit 1"]
    assert [line.strip() for line in lines[2:]][:3] == ["_" * 35 + " test_sum " + "_" * 35, "def test_sum():", "noise = 1"]
    assert ">       assert add([1, 2]) == 3" in lines
    assert "E       assert 4 == 3" in lines
    assert "said first" in lines
    assert "9 failed, 1 passed" in lines[-1]
    assert "PASSED" not in kept
    assert "add is old" not in kept


def test_of_others_two_are_explained_and_five_named(run):
    kept = summarize_pytest(run("-q", "-k", "test_sum or test_one"))
    assert "E       assert 1 == 0" in kept
    assert "E       assert 2 == 1" in kept
    assert "E       assert 3 == 2" not in kept
    assert "only_here" not in kept
    assert "said later" not in kept
    assert [line.split()[1] for line in kept.splitlines() if line.startswith("FAILED")] == [
        "test_x.py::test_sum",
        *[f"test_x.py::test_one[{number}]" for number in range(4)],
    ]
    assert "\n… and 4 more\n" in kept


def test_a_long_comparison_is_cut(run):
    kept = summarize_pytest(run("-vv", "-k", "test_long"))
    assert 4 <= sum(line.startswith("E") for line in kept.splitlines()) <= 8


def test_an_error_in_a_fixture_is_a_failure(run):
    kept = summarize_pytest(run("-q", "-k", "broken"))
    assert "E       OSError: no disk" in kept
    assert "ERROR test_x.py::test_broken" in kept


def test_a_test_file_that_is_not_python_is_a_failure(tmp_path):
    (tmp_path / "test_y.py").write_text("def test(:\n")
    result = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "SyntaxError" in summarize_pytest(result.stdout)


def test_what_was_shortened_once_stays(run):
    kept = summarize_pytest(run("-q"))
    assert summarize_pytest(kept) == kept.replace("… and 6 more\n", "")


def test_it_is_short(run):
    assert len(summarize_pytest(run("-q"))) < 2_000 < len(run("-q"))


@pytest.mark.parametrize("output", ["exit 2\nmake: *** no rule\n", "", "3 passed in 0.1s\n", "_____ a title _____\n> quoted\n"])
def test_other_output_is_unchanged(output):
    assert summarize_pytest(output) == output
