"""One loop as a command wants it, and as it comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from codagent.errors import RecordError, UsageError
from codagent.repository.attempts import Start
from codagent.settings.settings import Settings
from codagent.store.codec import decode, encode
from codagent.store.ledger import Spent
from codagent.types import Limits, Loop, Model, Price, Profile, Task


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that answers, how it is best worked with, and what it costs (None: unknown)."""

    model: Model
    profile: Profile
    price: Price | None


@dataclass(frozen=True, slots=True)
class Terms:
    """Limits and profile as they hold for a loop."""

    limits: Limits
    profile: Profile


@dataclass(frozen=True, slots=True)
class Job:
    """A loop's tasks, and how it goes from episode to episode.

    `members` loops of a `group` were started together. `iterate`: each task again and again until its checks pass. `start_commit` "": a
    snapshot is taken. `begin`: the commit that the first attempt starts from, "" for the start. `notes` are what it starts with;
    `notes_file` is kept up to date, "" for none.
    """

    loop_id: str
    group: str
    tasks: tuple[Task, ...]
    iterate: bool = False
    rewrite: Literal["never", "between", "always"] = "never"
    start: Start = "best"
    start_commit: str = ""
    begin: str = ""
    notes: str = ""
    notes_file: str = ""
    seed: int | None = None
    members: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One finished loop, as a command reports it."""

    loop: Loop
    spent: Spent
    seconds: float
    record: Path


def terms(settings: Settings, ready: Ready, seed: int | None) -> Terms:
    """UsageError for a money limit that cannot hold."""
    limits = settings.limits
    if ready.price is None:
        if "max_usd" in settings.asked:
            raise UsageError(f"the price of {ready.model.name} is not known, so --max-usd cannot hold; limit it with --max-tokens instead")
        limits = replace(limits, usd=None)
    steps = min(limits.steps, ready.profile.steps or limits.steps)
    notes_tokens = min(ready.profile.notes_tokens, settings.notes_tokens)
    sampling = ready.profile.sampling if seed is None else replace(ready.profile.sampling, seed=seed)
    return Terms(limits, replace(ready.profile, steps=steps, notes_tokens=notes_tokens, sampling=sampling))


def fresh_loop(job: Job, model: str, settings: Settings, held: Terms, *, image: str = "") -> Loop:
    """The loop before its first episode, with all that is needed to go on with it, or to replay it. `image` names the one that its work is
    judged in."""
    told: dict[str, Any] = {
        "model": settings.model,
        "sandbox": settings.sandbox,
        "sandbox_setup": dict(settings.sandbox_setup),
        "image": image,
        "protect": list(settings.protect),
        "limits": encode(held.limits),
        "profile": encode(held.profile),
        "job": encode(job),
    }
    return Loop(job.loop_id, job.group, "repository", model, job.start_commit, notes=job.notes, settings=told)


def recorded(loop: Loop) -> tuple[Job, Settings, Profile]:
    """What a loop was run with, from its record."""
    told = loop.settings
    try:
        settings = Settings(
            model=told["model"],
            sandbox=told["sandbox"],
            sandbox_setup=told["sandbox_setup"],
            protect=tuple(told["protect"]),
            limits=decode(Limits, told["limits"]),
            asked=frozenset({"model"}),
        )
        return decode(Job, told["job"]), settings, decode(Profile, told["profile"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"the record of {loop.id} does not tell what it was run with ({error}); it cannot go on") from None
