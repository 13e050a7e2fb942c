"""Checks that are a plain pytest command, run so that every test is accounted for."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codagent.errors import SandboxError
from codagent.repository.git import TESTS
from codagent.types import CommandResult, Sandbox

_INSIDE = Path(__file__).with_name("inside")
_ENTRY_POINT = "from inside.main import main\n\nraise SystemExit(main())\n"
_PLAIN = re.compile(
    r"""(?P<settings>(?:[A-Za-z_]\w*=(?:'[^']*'|"[^"]*"|[^\s'"])*\s+)*)
        (?:(?P<python>(?:/\S*/)?python(?:3(?:\.\d+)?)?)\s+-m\s+pytest|(?P<script>(?:/\S*/)?(?:pytest|py\.test)))
        (?P<arguments>\s.*)?""",
    re.VERBOSE,
)
# Whose pytest it is, as its script says.
_INTERPRETER = r"""$(sed -n '1s/^#! *\(.*python.*\)/\1/p' "$(command -v {script})" | grep . || echo python3)"""
_ALONE = "PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1"


@dataclass(frozen=True, slots=True)
class PytestCommand:
    """A pytest command in parts; `module`: it was `python -m pytest`, by which the working directory can be imported from."""

    settings: str
    python: str
    module: bool
    arguments: str


@dataclass(frozen=True, slots=True)
class TestReport:
    """What became of each test: passed, failed, skipped, xfailed, or nothing; what could not be collected, and how (failed, skipped);
    what was odd, and why. `code` is pytest's own, None when it never came to its end; `running` is the last test that began."""

    outcomes: Mapping[str, str] = field(default_factory=dict)
    uncollected: Mapping[str, str] = field(default_factory=dict)
    suspicious: Mapping[str, str] = field(default_factory=dict)
    collected: bool = False
    trusted: bool = True
    code: int | None = None
    running: str = ""


def parse_pytest(check: str) -> PytestCommand | None:
    """None for a command that is more than pytest, or something else."""
    match = _PLAIN.fullmatch(check.strip())
    if match is None or "\n" in check or "`" in check:
        return None
    words = shlex.shlex(check, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    try:
        if any(word and set(word) <= set("();<>|&") for word in words):
            return None
    except ValueError:  # a quotation without an end
        return None
    python = match["python"] or _INTERPRETER.format(script=match["script"])
    return PytestCommand(match["settings"], python, match["python"] is not None, (match["arguments"] or "").strip())


def run_tests(sandbox: Sandbox, pytest: PytestCommand, *, seconds: float) -> tuple[CommandResult, TestReport]:
    """Runs it in the sandbox's workspace."""
    folder, key = f"/tmp/{secrets.token_hex(8)}", secrets.token_bytes(32)  # noqa: S108 - a path in the sandbox
    plan = {"key": key.hex(), "module": pytest.module, "tests": TESTS.pattern}
    try:
        for file in _INSIDE.glob("*.py"):
            sandbox.write(f"{folder}/inside/{file.name}", file.read_bytes())
        sandbox.write(f"{folder}/__main__.py", _ENTRY_POINT.encode())
        sandbox.write(f"{folder}/plan.json", json.dumps(plan).encode())
    except OSError as error:
        raise SandboxError(f"no room in the sandbox for what runs the tests ({error.strerror}); give it more tmp_mb") from error
    command = f"{_ALONE} {pytest.settings}{pytest.python} {folder} {pytest.arguments}"
    result = sandbox.run(command, timeout=seconds)
    try:
        journal = sandbox.read(f"{folder}/journal")
    except OSError:
        journal = b""
    sandbox.run(f"rm -rf {folder}", timeout=60)
    return result, summarise_journal(read_journal(journal, key))


def read_journal(data: bytes, key: bytes) -> Iterator[dict[str, Any]]:
    """Its lines, up to the first that the runner did not write."""
    last = b""
    for line in data.splitlines():
        signature, _, text = line.partition(b" ")
        last = hmac.new(key, last + text, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(signature, last):
            return
        yield json.loads(text)


def summarise_journal(events: Iterable[dict[str, Any]]) -> TestReport:
    """A journal's lines as what they come to."""
    outcomes: dict[str, str] = {}
    lines: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        lines.setdefault(event["kind"], []).append(event)
    collected = lines.get("collected", [])
    for event in collected:
        outcomes |= dict.fromkeys(event["ids"], "")
    for event in lines.get("report", []):
        outcomes[event["id"]] = _worst_outcome(event, outcomes.get(event["id"], ""))
    # A canary whose set-up went wrong says nothing.
    canary_runs = [event for event in lines.get("canary", []) if event["setup"] == "passed"]
    canaries_seen = bool(canary_runs) or "passed" not in outcomes.values() or not any(event["canaries"] for event in collected)
    return TestReport(
        outcomes=outcomes,
        uncollected={event["id"]: event["outcome"] for event in lines.get("uncollected", [])},
        suspicious={event["id"]: event["why"] for event in lines.get("suspicious", [])},
        collected=bool(collected),
        trusted=canaries_seen and all(event["call"] == event["want"] for event in canary_runs),
        code=next((event["code"] for event in lines.get("finished", [])), None),
        running=next((event["id"] for event in reversed(lines.get("running", []))), ""),
    )


def _worst_outcome(report: Mapping[str, Any], before: str) -> str:
    """The worst of a test's phases; only a call that passed makes it pass."""
    if "failed" in (before, report["outcome"]):
        return "failed"
    if report["outcome"] == "skipped":
        return "xfailed" if report["xfail"] else "skipped"
    return before or ("passed" if report["when"] == "call" else "")
