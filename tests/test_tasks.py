"""The sample repositories: each is broken in one function, and its solution mends it."""

import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TASKS = Path(__file__).parent / "tasks"
NAMES = sorted(task.parent.name for task in TASKS.glob("*/task.toml"))


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def shipped(name, tmp_path_factory):
    """A copy of the repository as the agent gets it."""
    return Path(shutil.copytree(TASKS / name / "repo", tmp_path_factory.mktemp(name) / "repo"))


@pytest.fixture(scope="module")
def solved(shipped, name, tmp_path_factory):
    copy = Path(shutil.copytree(shipped, tmp_path_factory.mktemp(name) / "repo"))
    subprocess.run(["git", "apply", TASKS / name / "solution.patch"], cwd=copy, check=True)
    return copy


def run_checks(repository):
    """Exit code of a bare pytest, and how many tests passed and failed."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=repository, env=environ, capture_output=True, text=True, check=False)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])}
    return done.returncode, counts.get("passed", 0), counts.get("failed", 0)


def changed_files(before, after):
    names = {path.relative_to(root) for root in (before, after) for path in root.rglob("*") if path.is_file()}
    return [name for name in sorted(names) if (before / name).read_bytes() != (after / name).read_bytes()]


def changed_functions(before, after):
    """The outermost functions of `before` that hold changed lines; None stands for lines outside of any."""
    module = ast.parse(before)
    owners = module.body + [member for node in module.body if isinstance(node, ast.ClassDef) for member in node.body]
    functions = [node for node in owners if isinstance(node, ast.FunctionDef)]
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    lines = [line for tag, start, end, *_ in matcher.get_opcodes() if tag != "equal" for line in range(start + 1, max(end, start + 1) + 1)]
    return {next((node.name for node in functions if node.lineno <= line <= node.end_lineno), None) for line in lines}


def test_a_task_says_what_a_user_would_say(name):
    task = tomllib.loads((TASKS / name / "task.toml").read_text(encoding="utf-8"))
    assert set(task) == {"instruction", "checks", "bug"}
    assert task["checks"] == ["python3 -m pytest -q"]


def test_the_checks_fail_on_what_is_shipped_and_pass_once_it_is_solved(shipped, solved):
    code, passed, failed = run_checks(shipped)
    assert code == 1
    assert passed >= 1
    assert 1 <= failed <= 3
    assert run_checks(solved) == (0, passed + failed, 0)


def test_the_solution_changes_one_function_only(shipped, solved):
    (file,) = changed_files(shipped, solved)
    functions = changed_functions((shipped / file).read_text(encoding="utf-8"), (solved / file).read_text(encoding="utf-8"))
    assert len(functions) == 1
    assert None not in functions
