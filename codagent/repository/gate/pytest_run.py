"""Runs a check that is a pytest command in such a way that the result of every test is known."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codagent.errors import SandboxError
from codagent.protocols import GateSandbox
from codagent.repository.gate.commands.pytest_command import PytestCommand
from codagent.repository.gate.twins import NO_TWINS, TwinMixture
from codagent.repository.git import TESTS
from codagent.types import CommandResult

_INSIDE = Path(__file__).with_name("inside")
_ENTRY_POINT = "from inside.start_pytest import main\n\nraise SystemExit(main())\n"
_ALONE = "PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1"
# How pytest comes to load the plugin where something else starts it. tox passes on only what it is told to.
_INJECTED = (
    'PYTEST_ADDOPTS="-p inside.injected --assert=rewrite $PYTEST_ADDOPTS" PYTHONPATH="{folder}${{PYTHONPATH:+:$PYTHONPATH}}"'
    " PYTHONDONTWRITEBYTECODE=1 TOX_OVERRIDE='testenv.pass_env+=PYTEST_ADDOPTS,PYTHONPATH,PYTHONDONTWRITEBYTECODE'"
)
_ORDER = ("failed", "", "skipped", "xfailed", "passed")  # outcomes of a test in several sessions: the first of these counts


@dataclass(frozen=True, slots=True)
class TestReport:
    """What happened to each test of a run."""

    __test__ = False  # pytest must not take this class for tests

    outcomes: Mapping[str, str] = field(default_factory=dict)  # of each test: passed, failed, skipped, xfailed; "": it did not run
    uncollected: Mapping[str, str] = field(default_factory=dict)  # what could not be collected, and how: failed or skipped
    suspicious: Mapping[str, str] = field(default_factory=dict)  # what no honest program does, and why it is suspicious
    looks: Mapping[str, str] = field(default_factory=dict)  # what a person has to look at: what code of a file did, by its path
    collected: bool = False  # whether pytest came to the end of its collection
    trusted: bool = True  # whether the canaries ended as they must
    code: int | None = None  # pytest's exit code; None: it did not come to its end
    running: str = ""  # the last test that began
    files: Mapping[str, str] = field(default_factory=dict)  # of files in ids of tests: their path in the repository where that differs
    doctests: Sequence[str] = ()  # the tests that are doctests
    twins: Mapping[str, str] = field(default_factory=dict)  # what became of the twin of each test that has one
    again: Mapping[str, str] = field(default_factory=dict)  # what became of each such test when it ran a second time

    @property
    def agreeing(self) -> set[str]:
        """The tests that passed, and whose twins passed too."""
        return {test for test, twin in self.twins.items() if twin == self.outcomes[test] == "passed"}

    @property
    def unreached(self) -> set[str]:
        """The tests that passed, and whose twins came to no assertion."""
        return {test for test, twin in self.twins.items() if twin == "skipped" and self.outcomes[test] == "passed"}

    @property
    def unsteady(self) -> set[str]:
        """The tests that passed, but not a second time."""
        return {test for test, again in self.again.items() if self.outcomes[test] == "passed" != again}


def run_tests(
    sandbox: GateSandbox, pytest: PytestCommand, mixture: TwinMixture = NO_TWINS, *, seconds: float
) -> tuple[CommandResult, TestReport]:
    """Run pytest in the sandbox's workspace, with the twins of `mixture`. Raises SandboxError as `run_watched` does."""
    folder = _make_folder()
    command = f"export {_ALONE}; {pytest.run(folder)}"
    result, report = _run_judged(sandbox, folder, command, {"module": pytest.module}, mixture, seconds)
    return result, report or TestReport()


def run_watched(sandbox: GateSandbox, command: str, mixture: TwinMixture, *, seconds: float) -> tuple[CommandResult, TestReport | None]:
    """Run any command, and watch the sessions of pytest that it starts. The report is None when it starts none.

    Raises SandboxError when the sandbox has no room for the files of the gate.
    """
    if not sandbox.run("command -v python3", timeout=60).output.strip():
        return sandbox.run_attested(command, timeout=seconds), None
    folder = _make_folder()
    injected = _INJECTED.format(folder=folder)
    return _run_judged(sandbox, folder, f"export {injected}; {command}", None, mixture, seconds)


def _make_folder() -> str:
    return f"/tmp/{secrets.token_hex(8)}"  # noqa: S108 - a path in the sandbox


def _run_judged(
    sandbox: GateSandbox, folder: str, command: str, pytest: Mapping[str, Any] | None, mixture: TwinMixture, seconds: float
) -> tuple[CommandResult, TestReport | None]:
    """Let the judge run a command. `pytest` has the orders for the only session of pytest; None: the command may start several."""
    key = secrets.token_bytes(32)
    orders = {**(pytest or {}), **mixture.orders(), "tests": TESTS.pattern}
    plan = {"key": key.hex(), "command": command, "orders": orders, "many": pytest is None, "files": _read_inside()}
    try:
        sandbox.write(f"{folder}/judge.py", (_INSIDE / "judge.py").read_bytes())
        sandbox.write(f"{folder}/plan.json", json.dumps(plan).encode())
    except OSError as error:
        raise SandboxError(f"the sandbox has no room for the files that run the tests ({error.strerror}); give it more tmp_mb") from error
    result = sandbox.run_attested(f"python3 -I -S {folder}/judge.py", timeout=seconds)
    try:
        journal = sandbox.read(f"{folder}/journal")
    except OSError:
        journal = b""
    sandbox.run(f"rm -rf {folder}", timeout=60)
    return result, summarise_journal(read_journal(journal, key))


@functools.cache
def _read_inside() -> Mapping[str, str]:
    """Return the files that the judge needs in its folder, by path."""
    files = {f"inside/{file.name}": file.read_text(encoding="utf-8") for file in _INSIDE.glob("*.py") if file.name != "judge.py"}
    return {**files, "__main__.py": _ENTRY_POINT}


def read_journal(data: bytes, key: bytes) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal, up to the first one whose signature is wrong."""
    last = b""
    for line in data.splitlines():
        signature, _, text = line.partition(b" ")
        last = hmac.new(key, last + text, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(signature, last):
            return
        yield json.loads(text)


def summarise_journal(events: Iterable[dict[str, Any]]) -> TestReport | None:
    """Combine the lines of a journal into a report. Returns None when there is no line."""
    sessions: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        sessions.setdefault(event.get("session", 0), []).append(event)
    try:
        reports = [_summarise_session(lines) for lines in sessions.values()]
    except (KeyError, TypeError, AttributeError):  # no line of the plugin
        return TestReport(trusted=False, code=1)
    return functools.reduce(_merge_reports, reports) if reports else None


def _merge_reports(first: TestReport, second: TestReport) -> TestReport:
    both = first.outcomes.keys() & second.outcomes.keys()
    worst = {test: min(first.outcomes[test], second.outcomes[test], key=_ORDER.index) for test in both}
    return TestReport(
        outcomes={**first.outcomes, **second.outcomes, **worst},
        uncollected={**first.uncollected, **second.uncollected},
        suspicious={**first.suspicious, **second.suspicious},
        looks={**first.looks, **second.looks},
        collected=first.collected and second.collected,
        trusted=first.trusted and second.trusted,
        code=None if first.code is None or second.code is None else first.code or second.code,
        running=second.running or first.running,
        files={**first.files, **second.files},
        doctests=[*first.doctests, *second.doctests],
    )


def _summarise_session(events: Iterable[dict[str, Any]]) -> TestReport:
    outcomes: dict[str, str] = {}
    lines: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        lines.setdefault(event["kind"], []).append(event)
    collected = lines.get("collected", [])
    for event in collected:
        outcomes |= dict.fromkeys(event["ids"], "")
    for event in lines.get("report", []):
        outcomes[event["id"]] = _worst_outcome(event, outcomes.get(event["id"], ""))
    # A canary whose set-up failed proves nothing.
    canary_runs = [event for event in lines.get("canary", []) if event["setup"] == "passed"]
    canaries_seen = bool(canary_runs) or "passed" not in outcomes.values() or not any(event["canaries"] for event in collected)
    return TestReport(
        outcomes=outcomes,
        uncollected={event["id"]: event["outcome"] for event in lines.get("uncollected", [])},
        suspicious={event["id"]: event["why"] for event in lines.get("suspicious", [])},
        looks={event["id"]: event["why"] for event in lines.get("look", [])},
        collected=bool(collected),
        trusted=canaries_seen and all(event["call"] == event["want"] for event in canary_runs),
        code=next((event["code"] for event in lines.get("finished", [])), None),
        running=next((event["id"] for event in reversed(lines.get("running", []))), ""),
        files={file: path for event in collected for file, path in event.get("files", {}).items() if path and path != file},
        doctests=[test for event in collected for test in event.get("doctests", [])],
    )


def _worst_outcome(report: Mapping[str, Any], before: str) -> str:
    """Return the worst outcome of a test's phases. A test has passed only if its call phase passed."""
    if "failed" in (before, report["outcome"]):
        return "failed"
    if report["outcome"] == "skipped":
        return "xfailed" if report["xfail"] else "skipped"
    return before or ("passed" if report["when"] == "call" else "")
