"""What a finished loop means: one word, one exit code, one JSON object, a few lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codagent import git
from codagent.cli.work import Result
from codagent.errors import LimitReached, ModelError, RepositoryError, SandboxError
from codagent.types import Episode

UNFINISHED = 3
INTERRUPTED = 130
_CODES: Mapping[str, int] = {
    "interrupted": INTERRUPTED,
    "model": ModelError.exit_code,
    "sandbox": SandboxError.exit_code,
    "repository": RepositoryError.exit_code,
    "tokens": LimitReached.exit_code,
    "seconds": LimitReached.exit_code,
    "usd": LimitReached.exit_code,
}


def exit_code(episode: Episode) -> int:
    """0: the gates passed or, where there are none, the agent finished. Else what ended it."""
    done = episode.outcome.passed if episode.outcome else episode.end == "finished"
    return 0 if done and episode.end != "interrupted" else _CODES.get(episode.end or "", UNFINISHED)


def word(episode: Episode) -> str:
    """The outcome in a word: passed, done, failed, or what ended it."""
    if exit_code(episode) == 0:
        return "passed" if episode.outcome else "done"
    return "failed" if episode.outcome and episode.end not in _CODES else str(episode.end)


def summary(result: Result) -> dict[str, Any]:
    """The object that `--json` prints."""
    episode, loop = result.episode, result.loop
    return {
        "outcome": word(episode),
        "exit_code": exit_code(episode),
        "id": loop.id,
        "branch": git.branch(loop.id) if result.change else None,
        "commit": episode.commit if result.change else None,
        "iterations": len(loop.episodes),
        "passed": episode.outcome.passed if episode.outcome else None,
        "claimed": episode.end == "finished",
        "usd": result.spent.usd,
        "tokens": result.spent.tokens,
        "seconds": round(result.seconds, 3),
        "record": str(result.record),
    }


def lines(result: Result) -> list[str]:
    """The end of a run for a person: what came out, where it lies, what to do next."""
    loop, episode = result.loop, result.episode
    used = f"{len(episode.steps)} steps, {result.seconds:.0f} s, {result.spent.tokens:,} tokens, ${result.spent.usd:.2f}"
    told = [f"outcome: {word(episode)} after {used}"]
    if episode.outcome and not episode.outcome.passed:
        told.append(episode.outcome.feedback)
    if result.change:
        told += [f"branch:  {git.branch(loop.id)}", f"diff:    codagent diff {loop.id}", f"keep it: codagent apply {loop.id}"]
    else:
        told.append("nothing was changed")
    return [*told, f"record:  {result.record}"]
