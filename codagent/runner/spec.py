"""One loop as a command wants it, and as it comes back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from codagent.errors import RecordError, UsageError
from codagent.repository.attempts import Start
from codagent.settings.settings import LOCAL, Settings
from codagent.store import layout
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


def fresh_loop(job: Job, model: str, settings: Settings, held: Terms, *, image: str = "", secret: bytes = b"") -> Loop:
    """The loop before its first episode, with all that is needed to go on with it, or to replay it. `image` names the one that its work is
    judged in. `secret` seals it, so that this user's machine knows its own records from others; empty: no seal."""
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
    if secret:
        told["seal"] = _seal(job.loop_id, told, secret)
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


def is_sealed(loop: Loop, secret: bytes) -> bool:
    """Whether the record was begun by this user on this machine, and what it was run with is as it was then."""
    told = dict(loop.settings)
    seal = told.pop("seal", None)
    return isinstance(seal, str) and bool(secret) and hmac.compare_digest(seal.encode(), _seal(loop.id, told, secret).encode())


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts on a record."""

    settings: Settings  # the person's own: user file, environment and flags
    secret: bytes  # by which records that were made here are known
    say: Callable[[str], None]  # hears what was left out of a record
    model: str | None = None  # named for this very record


def permitted(loop: Loop, loops: Path, person: Person) -> tuple[Job, Settings, Profile]:
    """What a recorded loop is gone on with, replayed or branched: of what the record says, what cannot harm.

    Never the local sandbox, unless the person's settings name it. Where the record was not made here also no model that the person has not
    named, no notes outside of codagent's own folder, and no limit above the person's. UsageError where the person has to say more.
    """
    job, settings, profile = recorded(loop)
    own, sealed, say = person.settings, is_sealed(loop, person.secret), person.say
    if job.loop_id != loop.id:
        raise RecordError(f"the record of {loop.id} is damaged: its job is that of {job.loop_id}")
    if settings.sandbox == LOCAL and own.sandbox != LOCAL:
        raise UsageError(
            f"loop {loop.id} was run in the local sandbox, whose commands run on this machine; --sandbox local says that they may"
        )
    if not sealed and not person.model and own.model != settings.model and not settings.model.startswith("embedded"):
        raise UsageError(
            f"the record of loop {loop.id} was not made here and asks for the model {settings.model}; name a model with --model"
        )
    if job.notes_file and not Path(job.notes_file).parent.is_dir():  # the repository was moved
        job = replace(job, notes_file=str(notes_file_for(loops, loop.id, job.notes_file)))
    if sealed:
        return job, settings, profile
    notes_file = str(notes_file_for(loops, loop.id, job.notes_file))
    if job.notes_file and job.notes_file != notes_file:
        say(f"the record of loop {loop.id} was not made here: its notes are kept in {notes_file}, not in {job.notes_file}")
    limits = _lowest(settings.limits, own.limits)
    if limits != settings.limits:
        say(f"the record of loop {loop.id} was not made here: its limits are lowered to yours")
    return replace(job, notes_file=notes_file if job.notes_file else ""), replace(settings, limits=limits), profile


def notes_file_for(loops: Path, loop_id: str, wanted: str) -> Path:
    """The file in codagent's own folder that a record means by its notes: those of the repository, or those of the loop alone.

    The repository may have been elsewhere when the record was made.
    """
    shared = layout.notes_path(loops)
    return shared if Path(wanted).parts[-2:] == shared.parts[-2:] else loops / loop_id / "notes.md"


def _lowest(limits: Limits, most: Limits) -> Limits:
    lowered: dict[str, Any] = {}
    for each in fields(Limits):
        wanted, highest = getattr(limits, each.name), getattr(most, each.name)
        lowered[each.name] = highest if wanted is None else wanted if highest is None else min(wanted, highest)
    return Limits(**lowered)


def _seal(loop_id: str, told: Mapping[str, Any], secret: bytes) -> str:
    text = json.dumps([loop_id, told], sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
