"""What came of a loop: one word, one exit code, one JSON object, a few lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codagent.errors import LimitReached, ModelError, RepositoryError, SandboxError
from codagent.repository import git
from codagent.repository.attempts import answer_of, best, describe_checks
from codagent.runner.endings import sentence_of
from codagent.runner.spec import Result
from codagent.text import count, format_usd
from codagent.types import Episode, Loop

KEYS = (
    *("outcome", "exit_code", "id", "branch", "commit", "iterations", "passed", "claimed"),
    *("usd", "tokens", "cached_share", "seconds", "record", "answer"),
)
UNFINISHED = 3
NO_PROGRESS = 9
INTERRUPTED = 130
_CODES: Mapping[str, int] = {
    "interrupted": INTERRUPTED,
    "model": ModelError.exit_code,
    "refused": ModelError.exit_code,
    "sandbox": SandboxError.exit_code,
    "repository": RepositoryError.exit_code,
    "tokens": LimitReached.exit_code,
    "seconds": LimitReached.exit_code,
    "usd": LimitReached.exit_code,
    "stalled": NO_PROGRESS,
    "blocked": NO_PROGRESS,
}


_RAISED_BY: Mapping[str, str] = {  # the limits that ended a loop, and the options that raise them
    "stalled": " --patience N",
    "iterations": " --iterations N",
    "tokens": " --max-tokens N",
    "usd": " --max-usd USD",
    "seconds": " --max-seconds S",
}


def outcome_label(loop: Loop) -> str:
    """The outcome in a word: passed, done (there are no checks), suspicious, failed, or what ended the loop."""
    last = loop.attempts[-1]
    if _lacks_branch(last):
        return "repository"
    if iterates(loop):
        end = loop.end or "interrupted"
        return _failure(last) if end == "iterations" else end
    if last.end == "interrupted":
        return "interrupted"
    if last.outcome is None:
        return "done" if last.end == "finished" else str(last.end)
    if last.outcome.passed:
        return "passed"
    return str(last.end) if last.end in _CODES else _failure(last)


def describe_outcome(loop: Loop) -> str:
    """Say in a sentence how a loop ended."""
    label, last = outcome_label(loop), loop.attempts[-1]
    if label == "failed" and loop.end == "iterations":
        return f"{sentence_of('failed')}, and the limit of {count(iterations(loop), 'iteration')} is reached"
    if label == "failed" and last.outcome is None:
        return describe_end(last)
    return sentence_of(label)


def describe_end(episode: Episode) -> str:
    """Say in a sentence how an episode ended."""
    if episode.end == "steps":
        return f"stopped: {count(len(episode.steps), 'step')} used up"
    return episode.cause or sentence_of(episode.end)


def cost(loop: Loop) -> float | None:
    """The US dollars that the replies of a loop cost. None: at least one of them has no known price."""
    costs = [step.reply.cost_usd for episode in loop.episodes for step in episode.steps]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def short_model(name: str) -> str:
    """Return the part of a model's name that tells it from others: `http://127.0.0.1:8000/v1#qwen3` is `qwen3`."""
    return (name.rpartition("#")[2] or name).rstrip("/").rpartition("/")[2]


def exit_code(loop: Loop) -> int:
    """The exit code of a command: 0 when the gates passed or, without gates, the agent finished; else that of the loop's end."""
    return 0 if outcome_label(loop) in ("passed", "done") else _CODES.get(outcome_label(loop), UNFINISHED)


def iterations(loop: Loop) -> int:
    """The number of attempts that came to their end. A resumable attempt counts once it has ended, and one without work never does."""
    return sum(not attempt.resumable and attempt.end != "passed" for attempt in loop.attempts)


def is_resumable(loop: Loop) -> bool:
    """Whether a loop's latest episode was broken off; a run can then be resumed. So can a loop that was killed before its first episode."""
    return not loop.episodes or loop.episodes[-1].resumable


def is_over(loop: Loop) -> bool:
    """Whether a loop came to its end or to a limit. A loop that a failure or a person broke off is not over."""
    return loop.end not in ("model", "sandbox", "interrupted", None)


def iterates(loop: Loop) -> bool:
    """Whether attempts follow each other until the checks pass, as in `codagent loop`; in a run there is one."""
    return _is_asked(loop, "iterate")


def kind_of(loop: Loop) -> str:
    """Return the word that a person has for this record: a session, a run or a loop."""
    if is_session(loop):
        return "session"
    return "loop" if iterates(loop) or "job" not in loop.settings else "run"


def is_session(loop: Loop) -> bool:
    """Whether a loop is a session."""
    return _is_asked(loop, "session")


def _is_asked(loop: Loop, name: str) -> bool:
    """Whether the command that began the loop asked for this."""
    job = loop.settings.get("job")
    return isinstance(job, Mapping) and bool(job.get(name))


def change(loop: Loop) -> tuple[str, str] | None:
    """The commits before and after the best attempt; None when nothing was changed."""
    commit = best(loop)
    return (loop.start_commit, commit) if commit and commit != loop.start_commit else None


def summary(result: Result) -> dict[str, Any]:
    """Make the object that `--json` prints."""
    loop, last, changed = result.loop, result.loop.attempts[-1], change(result.loop)
    return {
        "outcome": outcome_label(loop),
        "exit_code": exit_code(loop),
        "id": loop.id,
        "branch": git.branch_name(loop.id) if changed and not _lacks_branch(last) else None,
        "commit": changed[1] if changed else None,
        "iterations": iterations(loop),
        "passed": last.outcome.passed if last.outcome else None,
        "claimed": last.end == "finished",
        "usd": result.spent.cost,
        "tokens": result.spent.tokens,
        "cached_share": cached_share(loop),
        "seconds": round(result.seconds, 3),
        "record": str(result.record),
        "answer": answer_of(last) or None,
    }


def cached_share(loop: Loop) -> float:
    """Return how much of all that was sent to the model came from the provider's cache, 0..1."""
    replies = [step.reply for episode in loop.episodes for step in episode.steps]
    return sum(reply.cached_tokens for reply in replies) / max(1, sum(reply.prompt_tokens for reply in replies))


def summary_lines(result: Result) -> list[str]:
    """Describe the end of a loop to a person, a line each: the answer of a run, what came out, where it is, what to do next."""
    loop, attempts = result.loop, result.loop.attempts
    last, code = attempts[-1], exit_code(loop)
    took = count(iterations(loop), "iteration") if iterates(loop) else count(len(last.steps), "step")
    used = f"{took}, {result.seconds:.0f} s, {describe_spent(result)}"
    answer = "" if iterates(loop) else answer_of(last)
    text = [*([answer, ""] if answer else []), f"outcome: {describe_outcome(loop)}", f"used:    {used}"]
    if last.outcome and not last.outcome.passed:
        text += [f"checks:  {describe_checks(last.outcome)}", last.outcome.feedback]
    if iterates(loop):
        text.append(f"scores:  {' '.join(score(attempt) for attempt in attempts)}")
    if change(loop):
        branch = f"none, {last.cause}" if _lacks_branch(last) else git.branch_name(loop.id)
        text += [f"branch:  {branch}", f"diff:    codagent diff {loop.id}", f"keep it: codagent apply {loop.id}"]
    elif loop.environment == "repository":
        text.append("nothing was changed")
    if iterates(loop):
        text.append(f"report:  codagent report {loop.id}")
    if code and (iterates(loop) or is_resumable(loop)) and loop.environment == "repository":
        local = " --sandbox local" if loop.settings.get("sandbox") == "local" else ""
        text.append(f"go on:   codagent loop --resume {loop.id}{local}{_RAISED_BY.get(loop.end or '', '')}")
    return [*text, f"record:  {result.record}"]


def describe_spent(result: Result) -> str:
    """Return the tokens and the money of a loop. A request that broke off may have cost all that was set aside for it."""
    most, used = result.spent, result.used or result.spent
    if used.tokens == most.tokens:
        return f"{most.tokens:,} tokens, {format_usd(most.cost)}"
    money = format_usd(None) if most.cost is None else f"{format_usd(used.cost)}, at most {format_usd(most.cost)}"
    return f"{used.tokens:,} tokens, at most {most.tokens:,}, {money}"


def score(attempt: Episode) -> str:
    """Return the reward of an attempt as text; "-": it was not judged."""
    return f"{attempt.outcome.reward:.2f}" if attempt.outcome else "-"


def _failure(last: Episode) -> str:
    """Return "suspicious" when all checks pass and a person has to look at the change, else "failed"."""
    return "suspicious" if last.outcome and last.outcome.suspicious else "failed"


def _lacks_branch(last: Episode) -> bool:
    """Whether the latest work is kept as a commit that the loop's branch could not be pointed to."""
    return last.end == "repository" and last.commit is not None
