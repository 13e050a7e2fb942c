"""One loop as a command wants it, and as it comes back; and what of a record may be acted on."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codagent.errors import RecordError, UsageError
from codagent.protocols import Model
from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.skills import SkillFile
from codagent.settings.settings import LOCAL, Settings
from codagent.store import layout
from codagent.store.codec import decode, encode
from codagent.store.price import Price
from codagent.types import EFFORTS, Limits, Loop, Profile, Rewrite, StartFrom, Task

if TYPE_CHECKING:
    from codagent.store.ledger import Spent


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that is ready to be asked."""

    model: Model
    profile: Profile
    price: Price | None  # None: not known


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    """The limits and the profile that hold for a loop."""

    limits: Limits
    profile: Profile


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """What a loop is to do. A record keeps it."""

    loop_id: str
    group: str
    tasks: tuple[Task, ...]
    session: bool = False  # each episode is a turn of a conversation; there are no tasks
    iterate: bool = False  # each task again and again until its checks pass
    rewrite: Rewrite = "never"  # when the notes are rewritten
    start: StartFrom = "best"  # what an attempt starts from
    start_commit: str = ""  # what the user's files were when the loop began; "": a snapshot is taken
    begin: str = ""  # the commit that the first attempt starts from; "": `start_commit`
    notes: str = ""  # what the loop starts with
    notes_file: str = ""  # is kept up to date; "": none is
    seed: int | None = None
    members: int = 1  # so many loops of the group were started together
    user_rules: str = ""  # the user's own instructions for agents as the loop began; "": there were none
    user_skills: tuple[SkillFile, ...] = ()  # the files of the user's own skills, as well

    @property
    def own(self) -> UserInstructions:
        """What the user had for agents in all repositories as the loop began."""
        return UserInstructions(self.user_rules, self.user_skills)

    def with_own(self, own: UserInstructions) -> LoopSpec:
        """Return the spec with what the user has for agents in all repositories."""
        return replace(self, user_rules=own.rules, user_skills=tuple(own.skills))


@dataclass(frozen=True, slots=True)
class Result:
    """A loop that has ended, as a command reports it."""

    loop: Loop
    spent: Spent
    seconds: float
    record: Path
    used: Spent | None = None  # the part of `spent` that is certain; None: all of it


def seed_of_member(seed: int | None, number: int) -> int | None:
    """Return the seed of a loop of a group, which are numbered from 0."""
    return None if seed is None else seed + 100_000 * number


def effective_limits(settings: Settings, ready: OpenedModel, seed: int | None) -> EffectiveLimits:
    """Fit limits and profile to each other. Raises UsageError for a limit of money when no price is known."""
    limits = settings.limits
    if ready.price is None:
        if "max_usd" in settings.asked:
            raise UsageError(f"the price of {ready.model.name} is not known, so --max-usd cannot hold; limit it with --max-tokens instead")
        limits = replace(limits, usd=None)
    steps = min(limits.steps, ready.profile.steps or limits.steps)
    notes_tokens = min(ready.profile.notes_tokens, settings.notes_tokens)
    sampling = ready.profile.sampling if seed is None else replace(ready.profile.sampling, seed=seed)
    return EffectiveLimits(limits, replace(ready.profile, steps=steps, notes_tokens=notes_tokens, sampling=sampling))


def new_loop(spec: LoopSpec, model: str, settings: Settings, held: EffectiveLimits, *, image: str = "", secret: bytes = b"") -> Loop:
    """Make a loop before its first episode, with all that is needed to resume or replay it.

    `image` names the image that its work is judged in. `secret` seals the record, so that it is known as made here; b"": no seal.
    """
    settings_on_record: dict[str, Any] = {
        "model": settings.model,
        "sandbox": settings.sandbox,
        "sandbox_setup": dict(settings.sandbox_setup),
        "image": image,
        "protect": list(settings.protect),
        "allow": list(settings.allow),
        "limits": encode(held.limits),
        "profile": encode(held.profile),
        "job": encode(spec),
    }
    if settings.effort:
        settings_on_record["effort"] = settings.effort
    if secret:
        settings_on_record["seal"] = _seal(spec.loop_id, settings_on_record, secret)
    return Loop(spec.loop_id, spec.group, "repository", model, spec.start_commit, notes=spec.notes, settings=settings_on_record)


def rename_loop(loop: Loop, loop_id: str, secret: bytes) -> Loop:
    """Give a copy of a loop an id and a group of its own. It is sealed when `secret` is not b"", and the loop was sealed by it."""
    table = dict(loop.settings)
    table["job"] = {**table["job"], "loop_id": loop_id, "group": loop_id}
    if is_sealed(loop, secret):
        del table["seal"]
        table["seal"] = _seal(loop_id, table, secret)
    return replace(loop, id=loop_id, group=loop_id, settings=table)


def spec_of(loop: Loop) -> tuple[LoopSpec, Settings, Profile]:
    """Read from a record what the loop was run with. Raises RecordError when the record does not tell."""
    table = loop.settings
    try:
        settings = Settings(
            model=table["model"],
            sandbox=table["sandbox"],
            sandbox_setup=table["sandbox_setup"],
            protect=tuple(table["protect"]),
            allow=tuple(table.get("allow", ())),
            limits=decode(Limits, table["limits"]),
            effort=next((effort for effort in EFFORTS if effort == table.get("effort")), None),
            asked=frozenset({"model"}),
        )
        return decode(LoopSpec, table["job"]), settings, decode(Profile, table["profile"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"the record of {loop.id} does not tell what it was run with ({error}); it cannot go on") from None


def is_sealed(loop: Loop, secret: bytes) -> bool:
    """Whether the record was begun by this user on this machine, and what it was run with is as it was then."""
    table = dict(loop.settings)
    seal = table.pop("seal", None)
    return isinstance(seal, str) and bool(secret) and hmac.compare_digest(seal.encode(), _seal(loop.id, table, secret).encode())


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts on a record."""

    settings: Settings  # the person's own: user file, environment and flags
    secret: bytes  # by which records that were made here are known
    say: Callable[[str], None]  # hears what was left out of a record
    model: str | None = None  # named for this very record


def restrict_spec(loop: Loop, loops: Path, person: Person) -> tuple[LoopSpec, Settings, Profile]:
    """Take from a record what may be acted on, when its loop is resumed or branched.

    The local sandbox is refused unless the person's settings name it. A record that was not made here chooses no model that the person has
    not named, no file of notes outside of codagent's folder, and no limit above the person's. Raises UsageError when the person has to say
    more.
    """
    spec, settings, profile = spec_of(loop)
    own = person.settings
    settings = replace(settings, models=own.models, hooks=own.hooks, servers=own.servers)
    sealed, say = is_sealed(loop, person.secret), person.say
    if spec.loop_id != loop.id or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", loop.id):
        raise RecordError(f"the record of {loop.id} is damaged: its spec is that of {spec.loop_id}")
    if settings.sandbox == LOCAL and own.sandbox != LOCAL:
        raise UsageError(f"{loop.id} was run in the local sandbox, whose commands run on this machine; --sandbox local says that they may")
    if not sealed and not person.model and own.model != settings.model and not settings.model.startswith("embedded"):
        raise UsageError(f"the record of {loop.id} was not made here and asks for the model {settings.model}; name a model with --model")
    if spec.notes_file and not Path(spec.notes_file).parent.is_dir():  # the repository was moved
        spec = replace(spec, notes_file=str(notes_file_for(loops, loop.id, spec.notes_file)))
    if sealed:
        return spec, settings, profile
    notes_file = str(notes_file_for(loops, loop.id, spec.notes_file))
    if spec.notes_file and spec.notes_file != notes_file:
        say(f"the record of {loop.id} was not made here: its notes are kept in {notes_file}, not in {spec.notes_file}")
    limits = _lowest(settings.limits, own.limits)
    if limits != settings.limits:
        say(f"the record of {loop.id} was not made here: its limits are lowered to yours")
    return replace(spec, notes_file=notes_file if spec.notes_file else ""), replace(settings, limits=limits), profile


def notes_file_for(loops: Path, loop_id: str, wanted: str) -> Path:
    """The file in codagent's own folder that a record means by its notes: those of the repository, or those of the loop alone.

    The repository may have been elsewhere when the record was made.
    """
    shared = layout.notes_path(loops)
    return shared if Path(wanted).parts[-2:] == shared.parts[-2:] else loops / loop_id / "notes.md"


def _lowest(limits: Limits, most: Limits) -> Limits:
    lowered: dict[str, Any] = {}
    for limit in fields(Limits):
        wanted, highest = getattr(limits, limit.name), getattr(most, limit.name)
        lowered[limit.name] = highest if wanted is None else wanted if highest is None else min(wanted, highest)
    return Limits(**lowered)


def _seal(loop_id: str, table: Mapping[str, Any], secret: bytes) -> str:
    text = json.dumps([loop_id, table], sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
