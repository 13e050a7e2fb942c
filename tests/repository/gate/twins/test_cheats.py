"""Cheats against the gate, from `cheats.json`: a repository (`files` beside the standard ones), what the agent writes or runs, and checks.

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

from codagent.repository.gate import FileRules, Gates
from codagent.sandbox.local import LocalSandbox

DATA = json.loads(Path(__file__).with_name("cheats.json").read_text())
CHEATS = {cheat["name"]: cheat for cheat in [*DATA["cheats"], *DATA["more"], *DATA["disk_and_memory"]]}
HONEST = {"calc.py": "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n"}
PYTEST = "python3 -m pytest -q"


class Repository:
    """A repository with a start and work on top of it, and the gates that judge the work."""

    def __init__(self, root: Path, cheat: Mapping[str, Any], allow: tuple[str, ...] = ()) -> None:
        self.root = root
        self._write({path: text for path, text in {**DATA["standard"], **cheat.get("files", {})}.items() if text is not None})
        self._git("init", "-q")
        self.start = self._commit()
        self._write(cheat.get("writes", {}))
        subprocess.run(["bash", "-c", cheat.get("command", "true")], cwd=root, check=True)
        self.work = self._commit()
        python = f"env PATH={Path(sys.executable).parent}:{os.defpath} python3"
        self.checks = tuple(check.replace("python3", python) for check in cheat.get("checks", [PYTEST]))
        self.gates = Gates(root, self.start, LocalSandbox, rules=FileRules(allow=allow))

    def look(self) -> tuple[str, ...]:
        return self.gates.find_suspicions(self.checks, *self.gates.put_back(self.checks, self.work))

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
        assert outcome.failed


@pytest.mark.parametrize(
    "honest",
    [
        {"writes": HONEST},
        {"writes": HONEST, "files": {"run_tests.sh": f"#!/bin/sh\n{PYTEST}\n"}, "checks": ["sh run_tests.sh", f"{PYTEST} | tee out.txt"]},
    ],
    ids=["pytest", "script"],
)
def test_honest_work_passes(tmp_path, honest):
    repository = Repository(tmp_path / "repository", honest)
    assert repository.look() == ()
    outcome = repository.gates.grade(repository.checks, repository.work)
    assert (outcome.passed, outcome.reward) == (True, 1.0), outcome.feedback
    assert "3 of 3 tests that pass are checked by twins" in outcome.feedback


def test_a_suspicious_change_is_no_pass_until_a_person_allows_it(tmp_path):
    work = {"writes": {"calc.py": f"import atexit\n{HONEST['calc.py']}"}}
    outcome = (repository := Repository(tmp_path / "a", work)).gates.grade(repository.checks, repository.work)
    assert (outcome.passed, outcome.reward, outcome.failed) == (False, 0.0, ())
    assert outcome.suspicious == ("calc.py:1: reaches for atexit",)
    assert "--allow GLOB" in outcome.feedback
    assert Repository(tmp_path / "b", work, ("ca*.py",)).look() == ()
