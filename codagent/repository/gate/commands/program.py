"""Finds out whether a check failed because the sandbox does not have the program that it calls."""

from __future__ import annotations

import re
import shlex

from codagent.protocols import Sandbox

_CANNOT_RUN = (126, 127)  # the exit codes of a shell for a program that it cannot execute, and for one that it does not find
_NEVER_RUN = (
    "test",
    "true",
    "false",
    "echo",
    "cat",
    "grep",
    "ls",
    "diff",
    "cmp",
    "head",
    "tail",
    "wc",
    "exit",
    "sleep",
    "set",
    "ruff",
    "mypy",
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PLAIN = re.compile(r"[\w./+-]+")


def find_missing_program(sandbox: Sandbox, check: str, exit_code: int) -> str:
    """Return the first word of a check that could not be run, if that word is what the sandbox cannot execute; else "".

    A path of the repository at which there is no file is not meant: the work may be to write that file.
    """
    word = _first_word(check) if exit_code in _CANNOT_RUN else ""
    if not word:
        return ""
    question = f"command -v -- {word}"
    if "/" in word and not word.startswith("/"):
        question += f" || [ ! -e {word} ]"
    return word if sandbox.run(question, timeout=60).exit_code else ""


def never_runs_tests(check: str) -> bool:
    """Whether each program that a check names is one that cannot run tests."""
    parts = re.split(r"&&|\|\||[;|\n]", check)
    return all(_first_word(part.strip(" !()")) in _NEVER_RUN for part in parts if part.strip())


def _first_word(check: str) -> str:
    """Return the word that a shell takes for the program of the first command; "" when it takes more than splitting to know it."""
    try:
        words = shlex.split(check)
    except ValueError:  # an open quotation
        return ""
    word = next((word for word in words if not _ASSIGNMENT.fullmatch(word)), "")
    return word if _PLAIN.fullmatch(word) else ""
