"""What a finished loop means: one word, one exit code, one JSON object, a few lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codagent.errors import LimitReached, ModelError, RepositoryError, SandboxError
from codagent.repository import git
from codagent.repository.attempts import best
from codagent.runner.spec import Result
from codagent.store.record import broken_off, solved
from codagent.types import Episode, Loop

UNFINISHED = 3
NO_PROGRESS = 9
INTERRUPTED = 130
_CODES: Mapping[str, int] = {
    "interrupted": INTERRUPTED,
    "model": ModelError.exit_code,
    "sandbox": SandboxError.exit_code,
    "repository": RepositoryError.exit_code,
    "tokens": LimitReached.exit_code,
    "seconds": LimitReached.exit_code,
    "usd": LimitReached.exit_code,
    "stalled": NO_PROGRESS,
    "blocked": NO_PROGRESS,
}


def word(loop: Loop) -> str:
    """The outcome in a word: passed, done, failed, or what ended it."""
    last = solved(loop)[-1]
    if _iterates(loop):
        end = loop.end or "interrupted"
        return "failed" if end == "iterations" else end
    if last.end == "interrupted":
        return "interrupted"
    if last.outcome is None:
        return "done" if last.end == "finished" else str(last.end)
    if last.outcome.passed:
        return "passed"
    return str(last.end) if last.end in _CODES else "failed"


def exit_code(loop: Loop) -> int:
    """0: the gates passed or, where there are none, the agent finished. Else what ended it."""
    return 0 if word(loop) in ("passed", "done") else _CODES.get(word(loop), UNFINISHED)


def iterations(loop: Loop) -> int:
    """How many attempts came to their end; one that was broken off goes on, and counts then."""
    return sum(not broken_off(attempt) for attempt in solved(loop))


def change(loop: Loop) -> tuple[str, str] | None:
    """The commits before and after its best attempt, where there is a difference."""
    commit = best(loop)
    return (loop.start_commit, commit) if commit and commit != loop.start_commit else None


def summary(result: Result) -> dict[str, Any]:
    """The object that `--json` prints."""
    loop, last, changed = result.loop, solved(result.loop)[-1], change(result.loop)
    return {
        "outcome": word(loop),
        "exit_code": exit_code(loop),
        "id": loop.id,
        "branch": git.branch_name(loop.id) if changed else None,
        "commit": changed[1] if changed else None,
        "iterations": iterations(loop),
        "passed": last.outcome.passed if last.outcome else None,
        "claimed": last.end == "finished",
        "usd": result.spent.usd,
        "tokens": result.spent.tokens,
        "seconds": round(result.seconds, 3),
        "record": str(result.record),
    }


def lines(result: Result) -> list[str]:
    """The end of a loop for a person: what came out, where it lies, what to do next."""
    loop, attempts = result.loop, solved(result.loop)
    last, code = attempts[-1], exit_code(loop)
    took = f"{iterations(loop)} iterations" if _iterates(loop) else f"{len(last.steps)} steps"
    used = f"{took}, {result.seconds:.0f} s, {result.spent.tokens:,} tokens, ${result.spent.usd:.2f}"
    told = [f"outcome: {word(loop)} after {used}"]
    if last.outcome and not last.outcome.passed:
        told.append(last.outcome.feedback)
    if _iterates(loop):
        told.append(f"scores:  {' '.join(_score(attempt) for attempt in attempts)}")
    if change(loop):
        told += [f"branch:  {git.branch_name(loop.id)}", f"diff:    codagent diff {loop.id}", f"keep it: codagent apply {loop.id}"]
    else:
        told.append("nothing was changed")
    if _iterates(loop):
        local = " --sandbox local" if loop.settings.get("sandbox") == "local" else ""
        told += [f"report:  codagent report {loop.id}", *([f"go on:   codagent loop --resume {loop.id}{local}"] if code else [])]
    return [*told, f"record:  {result.record}"]


def _score(attempt: Episode) -> str:
    return f"{attempt.outcome.reward:.2f}" if attempt.outcome else "-"


def _iterates(loop: Loop) -> bool:
    return bool(loop.settings.get("job", {}).get("iterate"))
