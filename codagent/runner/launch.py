"""Begin loops, resume one, and begin loops where another one stood."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.runner.display import Display
from codagent.runner.endings import sentence_of
from codagent.runner.executor import Executor, LocalExecutor, LoopRunner, RunnerOptions
from codagent.runner.model import Access, open_model, say_which_model, takes_memory, worst_case
from codagent.runner.result import describe_outcome, exit_code, is_resumable, kind_of
from codagent.runner.spec import LoopSpec, OpenedModel, Person, Result, restrict_spec, seed_of_member
from codagent.runner.workspace import take_snapshot
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.lock import Lock
from codagent.store.notes_file import PERSON, NotesFile
from codagent.store.record import load
from codagent.text import count, first_line
from codagent.types import Limits, Profile, Task

Flags = Mapping[str, Any]
Member = tuple[LoopRunner, LoopSpec, Display]
OpenModel = Callable[..., OpenedModel]  # is called as `runner.model.open_model`


def _agree(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """Where and with what loops are started, how many, and how many at a time."""

    root: Path  # the repository
    loops: Path  # the folder of its loops
    settings: Settings
    access: Access
    display: Display
    member: Callable[[str], Display]  # makes the display of one loop of a group, from the prefix of its lines
    count: int = 1
    at_once: int = 1
    all_: bool = False  # every loop runs to its end, also after one has passed
    confirm: Callable[[str], bool] = _agree  # asks the person a question; True where nobody can be asked
    executor: Executor = field(default_factory=LocalExecutor)
    open_model: OpenModel = open_model


def start(launch: LaunchOptions, pattern: LoopSpec, notes_file: Path | None) -> list[Result]:
    """Run loops after `pattern`, which may name the group that they belong to. Each has notes of its own when there are several, or when
    another loop writes `notes_file`.

    `notes_file` None: the notes of `pattern` are what each loop starts with.
    """
    with ExitStack() as stack:
        display = stack.enter_context(closing(launch.display))
        say_which_model(launch.settings, launch.access, display)
        display.say(worst_case(launch.settings)[-1])
        shared = notes_file if notes_file and stack.enter_context(_hold_notes_lock(notes_file, display)) else None
        if notes_file:
            pattern = replace(pattern, notes=_read_notes(launch, notes_file, pattern.tasks, display))
        if not pattern.start_commit:
            pattern = replace(pattern, start_commit=take_snapshot(launch.root, display))
        members = list(_members(launch, pattern, display, stack, shared))
        if launch.count == 1:
            ((runner, spec, _),) = members
            return [runner.run(spec)]
        results = run_group(members, at_once=launch.at_once, all_=launch.all_)
        if shared and (won := next((result for result in results if exit_code(result.loop) == 0), None)):
            NotesFile(shared, layout.versions_dir(launch.loops), who=won.loop.id).write(won.loop.latest_notes)
        return results


def resume(launch: LaunchOptions, wanted: str, flags: Flags, person: Person) -> Result:
    """Resume a loop where it was broken off, within its limits or those that `flags` raise. Flags may also name another model, sandbox or
    file of notes. UsageError when the loop is over; one that has passed is over when its last notes are written."""
    root, loops, access = launch.root, launch.loops, launch.access
    folder = loops / layout.find_loop(loops, wanted)
    with ExitStack() as stack:
        so_far = load(folder / layout.RECORD)
        display = stack.enter_context(closing(launch.display))
        spec, settings, profile = restrict_spec(so_far, loops, person)
        settings, recorded_profile = _with_flags(settings, profile, flags)
        if flags.get("notes"):
            spec = replace(spec, notes_file=str(flags["notes"]))
        if spec.session:
            raise UsageError(f"{so_far.id} is a session; `codagent session --resume {so_far.id}` goes on with it")
        if not is_resumable(so_far) and (so_far.end == "passed" or not spec.iterate):
            raise UsageError(f"{kind_of(so_far)} {so_far.id} is over: {describe_outcome(so_far)}; there is nothing to go on with")
        if so_far.end in ("tokens", "seconds", "usd") and flags.get(f"max_{so_far.end}") is None:
            raise UsageError(f"{kind_of(so_far)} {so_far.id} {sentence_of(so_far.end)}; --max-{so_far.end} raises it")
        settings = replace(settings, limits=_raise_limits(settings.limits, flags))
        say_which_model(settings, access, display)
        if spec.notes_file and not stack.enter_context(_hold_notes_lock(Path(spec.notes_file), display)):
            spec = replace(spec, notes_file=str(folder / "notes.md"))
        answered = sum(len(episode.steps) for episode in so_far.episodes)
        opening = partial(launch.open_model, settings, access, recorded_profile, answered=answered, say=display.say)
        options = RunnerOptions(root, settings, loops, display, opening, access, recorded_profile)
        return stack.enter_context(closing(launch.executor.make_runner(options))).run(spec, so_far)


def branch_spec(loops: Path, wanted: str | None, at: int, flags: Flags, person: Person) -> tuple[Settings, LoopSpec]:
    """Give the settings and the pattern of loops that start where another loop stood after iteration `at`."""
    origin = load(loops / layout.find_loop(loops, wanted) / layout.RECORD)
    spec, settings, profile = restrict_spec(origin, loops, person)
    settings, _ = _with_flags(settings, profile, flags)
    attempts = origin.attempts
    if at > len(attempts) or attempts[at - 1].commit is None:
        raise UsageError(f"{origin.id} has no iteration {at} to start from; it has {len(attempts)}")
    until = [episode for episode in origin.episodes if episode.position < at]
    tasks = spec.tasks[[task.id for task in spec.tasks].index(attempts[at - 1].task.id) :]
    branch = replace(
        spec,
        group="",
        members=1,
        tasks=tasks,
        begin=str(attempts[at - 1].commit),
        notes=replace(origin, episodes=tuple(until)).latest_notes,
    )
    return replace(settings, limits=_raise_limits(settings.limits, flags)), branch


def run_group(members: Sequence[Member], *, at_once: int, all_: bool) -> list[Result]:
    """Run loops side by side, `at_once` at a time. Unless `all_`, the first that passes ends the others.

    Returns the results of the loops that began, in the order of their end.
    """
    won = Event()

    def run_member(member: Member) -> Result:
        runner, spec, display = member
        result = runner.run(spec, display=display)
        if exit_code(result.loop) == 0 and not all_:
            won.set()
            _stop(members)  # here, before this thread takes another loop
        return result

    with ThreadPoolExecutor(at_once, thread_name_prefix="loop") as pool:
        futures = [pool.submit(run_member, member) for member in members]
        try:
            ended = as_completed(futures)
            return [future.result() for future in ended if not (won.is_set() and future.exception())]  # else it was stopped before it began
        except BaseException:
            _stop(members)
            raise


def _read_notes(launch: LaunchOptions, notes_file: Path, tasks: Sequence[Task], display: Display) -> str:
    """Return the notes that loops start with, and tell the person whose notes these are. The person may clear those of another task."""
    file = NotesFile(notes_file, layout.versions_dir(launch.loops), who=PERSON)
    text, author = file.text(), file.author()
    if not text:
        return ""
    size = count(len(text.split()), "word")
    if author == PERSON:
        display.say(f"notes: {size} of yours are used, from {notes_file}")
        return text
    worked_on = ""
    with suppress(RecordError, RepositoryError, OSError, IndexError):
        worked_on = load(launch.loops / author / layout.RECORD).attempts[0].task.instruction
    if worked_on in {task.instruction for task in tasks}:
        display.say(f"notes: {size} from loop {author} are used")
        return text
    display.say(f"notes: {size} are from loop {author}, which had another task{worked_on and f': {first_line(worked_on, 80)}'}")
    if launch.confirm("use these notes?"):
        display.say("they are used; `codagent notes clear` empties them")
        return text
    file.write("")
    display.say(f"{notes_file} is empty now; the notes are kept in {layout.versions_dir(launch.loops)}")
    return ""


def _members(launch: LaunchOptions, pattern: LoopSpec, display: Display, stack: ExitStack, shared: Path | None) -> Iterator[Member]:
    """Yield a runner, a spec and a display for each loop. A model that takes much memory is opened once, for all loops."""
    settings, access = launch.settings, launch.access
    opening = partial(launch.open_model, settings, access, at_once=min(launch.count, launch.at_once), say=display.say)

    def make_runner() -> LoopRunner:
        options = RunnerOptions(launch.root, settings, launch.loops, display, opening, access)
        return stack.enter_context(closing(launch.executor.make_runner(options)))

    shared_runner = make_runner() if launch.count == 1 or takes_memory(settings) else None
    ids = sorted(layout.create_loop(launch.loops) for _ in range(launch.count))  # so that the order of records is that of their seeds
    for loop_id in ids:
        stack.callback(layout.remove_unrecorded, launch.loops / loop_id)  # when the loop never begins
    for number, loop_id in enumerate(ids):
        file = shared if shared and launch.count == 1 else launch.loops / loop_id / "notes.md"
        seed = seed_of_member(pattern.seed, number)
        group, size = pattern.group or ids[0], max(pattern.members, launch.count)
        spec = replace(pattern, loop_id=loop_id, group=group, members=size, notes_file=str(file), seed=seed)
        member_display = display if launch.count == 1 else launch.member(f"{number + 1}: ")
        yield shared_runner or make_runner(), spec, member_display


def _stop(members: Sequence[Member]) -> None:
    for runner, _, _ in members:
        runner.stop()


@contextmanager
def _hold_notes_lock(notes_file: Path, display: Display) -> Iterator[bool]:
    """Yield whether this process alone may write the notes file until the end of the `with` block.

    Raises UsageError when no file can be there, RecordError when the disk is full.
    """
    with ExitStack() as held:
        try:
            notes_file.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(Lock(notes_file.parent / f"{notes_file.name}.lock"))
        except OSError as error:
            kind = RecordError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UsageError
            raise kind(f"notes cannot be kept in {notes_file} ({(error.strerror or '').lower()}); name another file with --notes") from None
        except UsageError:
            display.say(f"{notes_file} is in use by another loop; this one keeps notes of its own")
            yield False
            return
        yield True


def _with_flags(settings: Settings, profile: Profile, flags: Flags) -> tuple[Settings, Profile | None]:
    """Put the model and the sandbox that flags name into a record's settings. The record's profile holds for its own model only."""
    model, sandbox, recorded = flags.get("model"), flags.get("sandbox"), settings.model
    settings = replace(settings, model=model or settings.model, sandbox=sandbox or settings.sandbox)
    return settings, profile if settings.model == recorded else None


def _raise_limits(limits: Limits, flags: Flags) -> Limits:
    """Put the limits that flags name in place of the loop's."""
    names = ("iterations", "patience", "max_steps", "max_tokens", "max_seconds", "max_usd", "wait")
    raised = {key.removeprefix("max_"): flags[key] for key in names if flags.get(key) is not None}
    return replace(limits, **raised)
