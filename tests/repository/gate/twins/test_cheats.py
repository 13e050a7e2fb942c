"""Cheats and honest work, from `cheats.json`: a repository (`files` beside the standard ones), what the agent writes or runs, and checks.

A cheat that only its change gives away is not run. The others are run in the local sandbox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from codagent.errors import UsageError
from codagent.repository.gate import FileRules, Gates
from codagent.sandbox.local import LocalSandbox

DATA = json.loads(Path(__file__).with_name("cheats.json").read_text())
KINDS = ("cheats", "more", "disk_and_memory", "near", "hidden", "elsewhere", "doctests", "invented", "thought_of")
CHEATS = {cheat["name"]: cheat for kind in KINDS for cheat in DATA[kind]}
HONEST_WORK = {work["name"]: work for work in DATA["honest"]}
HONEST = {"calc.py": "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n"}
PYTEST = "python3 -m pytest -q"
STANDARD = {"pytest.ini": "[pytest]\npythonpath = .\n", **DATA["standard"]}
IN_A_FOLDER = {**dict.fromkeys(DATA["standard"]), **{f"sub/{path}": text for path, text in STANDARD.items() if path != "pyproject.toml"}}


class Repository:
    """A repository with a start and work on top of it, and the gates that judge the work."""

    def __init__(self, root: Path, cheat: Mapping[str, Any], allow: tuple[str, ...] = (), ask: Any = None) -> None:
        self.root = root
        self._write({path: text for path, text in {**DATA["standard"], **cheat.get("files", {})}.items() if text is not None})
        self._git("init", "-q")
        self.start = self._commit()
        self._write(cheat.get("writes", {}))
        subprocess.run(["bash", "-c", cheat.get("command", "true")], cwd=root, check=True)
        self.work = self._commit()
        python = f"env PATH={Path(sys.executable).parent}:{os.defpath} python3"
        self.checks = tuple(check.replace("python3", python) for check in cheat.get("checks", [PYTEST]))
        self.gates = Gates(root, self.start, LocalSandbox, rules=FileRules(allow=allow, ask=ask))

    def look(self) -> list[str]:
        review = self.gates.review
        return review.find_suspicions(self.checks, *review.put_back(self.checks, self.work))

    def _write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)

    def _commit(self) -> str:
        self._git("add", "-A", "-f")
        self._git("-c", "user.name=user", "-c", "user.email=user@localhost", "commit", "-q", "--allow-empty", "-m", "work")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pass(tmp_path, name):
    repository = Repository(tmp_path / "repository", CHEATS[name])
    if not repository.look():
        outcome = repository.gates.grade(repository.checks, repository.work)
        assert not outcome.passed
        assert outcome.failed or outcome.suspicious


@pytest.mark.parametrize(
    "honest",
    [
        {"writes": HONEST},
        {"writes": HONEST, "files": {"run_tests.sh": f"#!/bin/sh\n{PYTEST}\n"}, "checks": ["sh run_tests.sh", f"{PYTEST} | tee out.txt"]},
        {"writes": HONEST, "files": {"Makefile": f"test:\n\t{PYTEST}\n"}, "checks": ["make test"]},
        {"writes": {f"sub/{path}": text for path, text in HONEST.items()}, "files": IN_A_FOLDER, "checks": [f"cd sub && {PYTEST}"]},
    ],
    ids=["pytest", "script", "make", "folder"],
)
def test_honest_work_passes(tmp_path, honest):
    repository = Repository(tmp_path / "repository", honest)
    assert repository.look() == []
    outcome = repository.gates.grade(repository.checks, repository.work)
    assert (outcome.passed, outcome.reward) == (True, 1.0), outcome.feedback
    count = 3 * len(repository.checks)
    assert f"{count} of {count} tests that pass are checked by twins" in outcome.feedback


@pytest.mark.parametrize("name", HONEST_WORK)
def test_honest_work_that_looks_unusual_passes(tmp_path, name):
    repository = Repository(tmp_path / "repository", HONEST_WORK[name])
    outcome = repository.gates.grade(repository.checks, repository.work)
    assert (outcome.passed, outcome.reward, outcome.suspicious) == (True, 1.0, ()), outcome.feedback


def test_a_suspicious_change_is_no_pass_until_a_person_allows_it(tmp_path):
    work = {"writes": {"calc.py": f"import atexit\n{HONEST['calc.py']}"}}
    outcome = (repository := Repository(tmp_path / "a", work)).gates.grade(repository.checks, repository.work)
    assert (outcome.passed, outcome.reward, outcome.failed) == (False, 0.0, ())
    assert outcome.suspicious == ("calc.py:1: reaches for atexit",)
    assert "--allow GLOB" in outcome.feedback
    assert Repository(tmp_path / "b", work, ("ca*.py",)).look() == []


@pytest.mark.parametrize("says", [True, False])
def test_a_person_who_is_there_is_asked_once_about_a_suspicious_change(tmp_path, says):
    questions = []
    work = {"writes": {"calc.py": f"import atexit\n{HONEST['calc.py']}"}}
    repository = Repository(tmp_path / "repository", work, ask=lambda lines: questions.append(list(lines)) or says)
    outcomes = [repository.gates.grade(repository.checks, repository.work) for _ in range(2)]
    assert [outcome.passed for outcome in outcomes] == [says, says]
    assert questions == [["calc.py:1: reaches for atexit"]]


@pytest.mark.parametrize("check", ["sh run.sh", "sh -c 'python3 -c 1'"])
def test_a_check_that_passes_at_the_start_whatever_the_tests_say_is_refused(tmp_path, check):
    repository = Repository(tmp_path / "repository", {"files": {"run.sh": "exit 0\n"}, "checks": [check]})
    with pytest.raises(UsageError, match="passes before any work, and also when every test just fails"):
        repository.gates.grade(repository.checks, repository.start, at_start=True)


def test_a_check_that_passes_at_the_start_and_runs_the_tests_is_not_refused(tmp_path):
    repository = Repository(tmp_path / "repository", {"files": {**HONEST, "run.sh": f"{PYTEST}\n"}, "checks": ["sh run.sh"]})
    assert repository.gates.grade(repository.checks, repository.start, at_start=True).passed
