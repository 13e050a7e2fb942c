"""Loops begun, taken up again, and branched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codagent.agent.loop import notes
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.group import Member, run_group
from codagent.runner.model import Access, opener, say_which_model, worst_case
from codagent.runner.result import exit_code
from codagent.runner.runner import Desk, Display
from codagent.runner.spec import Job, Person, Result, permitted
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.lock import Lock
from codagent.store.notes_file import NotesFile
from codagent.store.record import load, solved
from codagent.types import Limits, Profile

Flags = Mapping[str, Any]
_SHARED = ("embedded", "gguf", "adapter")  # models that are there once, for all loops of a group


@dataclass(frozen=True, slots=True)
class Launch:
    """Where and with what loops are begun, how many, and how many at a time. All are shown on `display`, each of several on one of its
    own, which `member` makes after the prefix of its lines."""

    root: Path
    loops: Path
    settings: Settings
    access: Access
    display: Display
    member: Callable[[str], Display]
    count: int = 1
    at_once: int = 1
    all_: bool = False


def start(launch: Launch, pattern: Job, notes_file: Path | None) -> list[Result]:
    """Loops after `pattern`, each with notes of its own when there are several, or when another loop writes `notes_file`."""
    with ExitStack() as stack:
        progress = stack.enter_context(closing(launch.display))
        say_which_model(launch.settings, progress)
        progress.say(worst_case(launch.settings)[-1])
        shared = notes_file if notes_file and stack.enter_context(_ours(notes_file, progress)) else None
        if notes_file:
            pattern = replace(pattern, notes=NotesFile(notes_file, layout.versions_dir(launch.loops), who="").text())
        if not pattern.start_commit:
            pattern = replace(pattern, start_commit=git.snapshot(launch.root).commit)
        members = list(_members(launch, pattern, progress, stack, shared))
        if launch.count == 1:
            ((desk, job, _),) = members
            return [desk.do(job)]
        results = run_group(members, at_once=launch.at_once, all_=launch.all_)
        if shared and (won := next((result for result in results if exit_code(result.loop) == 0), None)):
            NotesFile(shared, layout.versions_dir(launch.loops), who=won.loop.id).write(notes(won.loop))
        return results


def go_on(launch: Launch, wanted: str, flags: Flags, person: Person) -> Result:
    """A loop from where it was broken off, its limits where they were or as `flags` raise them. Flags may also name another model, sandbox
    or file of notes."""
    root, loops, access = launch.root, launch.loops, launch.access
    folder = loops / layout.find_loop(loops, wanted)
    with ExitStack() as stack:
        so_far = load(folder / layout.RECORD)
        progress = stack.enter_context(closing(launch.display))
        job, settings, profile = permitted(so_far, loops, person)
        settings, recorded_profile = _chosen(settings, profile, flags)
        if flags.get("notes"):
            job = replace(job, notes_file=str(flags["notes"]))
        if so_far.end == "passed" or not job.iterate:
            raise UsageError(f"loop {so_far.id} is over ({so_far.end}); there is nothing to go on with")
        if so_far.end in ("tokens", "seconds", "usd") and flags.get(f"max_{so_far.end}") is None:
            raise UsageError(f"loop {so_far.id} came to its limit of {so_far.end}; --max-{so_far.end} raises it")
        settings = replace(settings, limits=_raised(settings.limits, flags))
        if job.notes_file and not stack.enter_context(_ours(Path(job.notes_file), progress)):
            job = replace(job, notes_file=str(folder / "notes.md"))
        answered = sum(len(episode.steps) for episode in so_far.episodes)
        open_model = opener(access, recorded_profile, answered=answered)
        desk = Desk(root, settings, loops=loops, progress=progress, open_model=open_model, secret=access.secret)
        return stack.enter_context(closing(desk)).do(job, so_far)


def branched(loops: Path, wanted: str | None, at: int, flags: Flags, person: Person) -> tuple[Settings, Job]:
    """Settings and pattern of loops that start where another stood after iteration `at`."""
    origin = load(loops / layout.find_loop(loops, wanted) / layout.RECORD)
    job, settings, profile = permitted(origin, loops, person)
    settings, _ = _chosen(settings, profile, flags)
    attempts = solved(origin)
    if at > len(attempts) or attempts[at - 1].commit is None:
        raise UsageError(f"loop {origin.id} has no iteration {at} to start from; it has {len(attempts)}")
    until = [episode for episode in origin.episodes if episode.position < at]
    tasks = job.tasks[[task.id for task in job.tasks].index(attempts[at - 1].task.id) :]
    began = replace(job, tasks=tasks, begin=str(attempts[at - 1].commit), notes=notes(replace(origin, episodes=tuple(until))))
    return replace(settings, limits=_raised(settings.limits, flags)), began


def _members(launch: Launch, pattern: Job, progress: Display, stack: ExitStack, shared: Path | None) -> Iterator[Member]:
    """A desk and a job for each loop; a model that takes much memory sits at one desk for all."""

    opened = opener(launch.access, at_once=min(launch.count, launch.at_once))

    def desk() -> Desk:
        return stack.enter_context(
            closing(
                Desk(launch.root, launch.settings, loops=launch.loops, progress=progress, open_model=opened, secret=launch.access.secret)
            )
        )

    one = desk() if launch.count == 1 or launch.settings.model.startswith(_SHARED) else None
    group = ""
    for number in range(launch.count):
        loop_id = layout.create_loop(launch.loops)
        stack.callback(layout.remove_if_empty, launch.loops / loop_id)  # of one that never began
        group = group or loop_id
        file = shared if shared and launch.count == 1 else launch.loops / loop_id / "notes.md"
        seed = None if pattern.seed is None else pattern.seed + 100_000 * number
        job = replace(pattern, loop_id=loop_id, group=group, members=launch.count, notes_file=str(file), seed=seed)
        yield one or desk(), job, launch.member(f"{number + 1}: ")


@contextmanager
def _ours(notes_file: Path, progress: Display) -> Iterator[bool]:
    """Whether the notes file is this process's to write, which it is then until the end."""
    with ExitStack() as held:
        try:
            held.enter_context(Lock(notes_file.with_name(f"{notes_file.name}.lock")))
        except UsageError:
            progress.say(f"{notes_file} is in use by another loop; this one keeps notes of its own")
            yield False
            return
        yield True


def _chosen(settings: Settings, profile: Profile, flags: Flags) -> tuple[Settings, Profile | None]:
    """The record's settings with the model and the sandbox that flags name, and the record's profile unless the model is another."""
    model, sandbox = flags.get("model"), flags.get("sandbox")
    chosen = replace(settings, model=model or settings.model, sandbox=sandbox or settings.sandbox)
    return chosen, profile if chosen.model == settings.model else None


def _raised(limits: Limits, flags: Flags) -> Limits:
    """Limits with those that the flags name in place of theirs."""
    names = ("iterations", "patience", "max_steps", "max_tokens", "max_seconds", "max_usd")
    given = {key.removeprefix("max_"): flags[key] for key in names if flags.get(key) is not None}
    return replace(limits, **given)
