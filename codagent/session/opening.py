"""Sessions begun, resumed, and forked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from codagent.errors import CodagentError, RecordError, UsageError
from codagent.repository import git
from codagent.repository.messages.own import NOTHING_OWN, UserInstructions
from codagent.runner.display import Display
from codagent.runner.model import Access, open_model
from codagent.runner.result import is_session, kind_of
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec, Person, is_sealed, rename_loop, restrict_spec
from codagent.session import history
from codagent.session.answered import Answered
from codagent.session.conversation import is_act
from codagent.session.session import Session
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.record import load
from codagent.text import count
from codagent.types import Episode, Limits, Loop


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where and with what a session is held."""

    root: Path  # the repository
    loops: Path  # the folder of its loops
    settings: Settings
    access: Access
    display: Display
    on_answer: Callable[[Answered], None]  # hears each call of a tool when it is done
    seed: int | None = None
    own: UserInstructions = NOTHING_OWN  # what the person has for agents in all repositories
    read_limits: Callable[[], Limits] | None = None  # as the person's files name them at that time; None: those of the settings


def begin(options: SessionOptions) -> Session:
    """Prepare a fresh session."""
    loop_id = layout.create_loop(options.loops)
    spec = LoopSpec(loop_id, loop_id, (), session=True, seed=options.seed).with_own(options.own)
    return _make_session(options, spec, answered=0)


def resume(options: SessionOptions, wanted: str | None, person: Person) -> Session:
    """Prepare to go on with a recorded session; `wanted` None: the latest.

    The model and the checks are the record's, unless the person's settings name others. Raises RecordError when there is no such session,
    and UsageError as `restrict_spec` does.
    """
    so_far = load_session(options.loops, wanted)
    spec, recorded, _ = restrict_spec(so_far, options.loops, person)
    settings, answered = options.settings, 0
    if is_sealed(so_far, person.secret):
        recorded = replace(recorded, **history.find_choice(so_far))
        checks = next((turn.task.checks for turn in reversed(so_far.attempts) if not is_act(turn)), ())
        judged: dict[str, Any] = {"checks": checks, "protect": recorded.protect, "allow": recorded.allow}
        settings = replace(settings, **{key: value for key, value in judged.items() if key not in settings.asked})
    if "model" not in settings.asked:
        effort = settings.effort if "effort" in settings.asked else recorded.effort
        settings = replace(settings, model=recorded.model, effort=effort, asked=settings.asked | {"model"})
        answered = sum(len(episode.steps) for episode in so_far.episodes)
    session = _make_session(replace(options, settings=settings), spec, answered)
    session.resume(so_far)
    return session


def fork(root: Path, loops: Path, so_far: Loop, turn: int, secret: bytes) -> str:
    """Make another session of the first `turn` turns of this one, and return its id. Raises UsageError when there are fewer turns."""
    turns = [number for number, episode in enumerate(so_far.episodes, 1) if episode.kind == "solve" and episode.prompt]
    if not 0 < turn <= len(turns):
        raise UsageError(f"session {so_far.id} has {count(len(turns), 'turn')}; say which of them the fork begins after")
    loop_id = layout.create_loop(loops)
    forked = replace(rename_loop(so_far, loop_id, secret), episodes=so_far.episodes[: turns[turn - 1]])
    history.copy(forked, loops / loop_id / layout.RECORD)
    for episode in forked.episodes:
        if episode.commit:
            git.keep_work(root, loop_id, episode.position, episode.commit)
    return loop_id


def load_session(loops: Path, wanted: str | None) -> Loop:
    """Load the record of a session; `wanted` None: the latest. Raises RecordError when there is none, UsageError when it is no session."""
    if wanted is not None:
        loop = load(loops / layout.find_loop(loops, wanted) / layout.RECORD)
        if not is_session(loop):
            raise UsageError(f"{loop.id} is a {kind_of(loop)} and no session; `codagent loop --resume {loop.id}` goes on with it")
        return loop
    for loop, _ in list_sessions(loops):
        return loop
    raise RecordError("there is no session to go on with in this repository; `codagent` begins one")


def list_sessions(loops: Path) -> Iterator[tuple[Loop, tuple[Episode, ...]]]:
    """Yield the recorded sessions in which something was done, with their turns; the latest first. A damaged record is left out."""
    for loop_id in reversed(layout.list_loops(loops)):
        with suppress(CodagentError):
            loop = load(loops / loop_id / layout.RECORD)
            turns = tuple(episode for episode in loop.attempts if not is_act(episode))
            if is_session(loop) and loop.attempts:
                yield loop, turns


def _make_session(options: SessionOptions, spec: LoopSpec, answered: int) -> Session:
    session = Session(_make_runner(options, answered), spec, options.display, options.on_answer)
    session.read_limits = options.read_limits or session.read_limits
    return session


def _make_runner(options: SessionOptions, answered: int) -> Runner:
    opening = partial(open_model, options.settings, options.access, answered=answered, say=options.display.say)
    return Runner(
        options.root,
        options.settings,
        loops=options.loops,
        display=options.display,
        open_model=opening,
        access=options.access,
    )
