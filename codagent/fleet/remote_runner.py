"""Runs loops elsewhere and keeps what comes back, so that a loop whose worker is lost goes on from its record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from codagent import errors
from codagent.errors import CodagentError, LimitReached, NotPublished, RepositoryError, SandboxError
from codagent.files import open_plain
from codagent.fleet.parcel import FILES, NOTES, Began, Failed, FileTail, KeptWork, Parcel, Piece, Said, Seen, read_files
from codagent.repository import git
from codagent.runner.display import Display
from codagent.runner.executor import RunnerOptions
from codagent.runner.model import find_price
from codagent.runner.spec import LoopSpec, Result
from codagent.runner.workspace import take_snapshot
from codagent.sandbox.images.setup import Setup
from codagent.settings.settings import LOCAL
from codagent.store import layout
from codagent.store.ledger import Ledger, read_spent
from codagent.store.lock import Lock
from codagent.store.notes_file import NotesFile
from codagent.store.record import load
from codagent.types import Loop

TRIES = 5  # how often a loop is given to a worker
RunElsewhere = Callable[[Parcel, bytes, "frozenset[str]"], Iterator[Piece]]  # not to these machines; raises WorkerLost, NoWorkerLeft


class WorkerLost(Exception):
    """A worker, or its machine, ended before the loop did."""


class NoWorkerLeft(Exception):
    """Every machine of the fleet was tried."""


class RemoteRunner:
    """A LoopRunner that hands loops to workers."""

    def __init__(self, options: RunnerOptions, run_elsewhere: RunElsewhere, interrupt: Callable[[str], None] = lambda _: None) -> None:
        """`interrupt` lets the worker that has the loop of this id interrupt it.

        Raises UsageError when the person does not allow what the repository sets up for its sandbox.
        """
        self._options, self._run_elsewhere, self._interrupt = options, run_elsewhere, interrupt
        self._running: set[str] = set()
        self._stopped = False
        self._setup = _read_setup(options)

    def run(self, spec: LoopSpec, so_far: Loop | None = None, *, display: Display | None = None) -> Result:
        """Run one loop, or resume the one in `so_far`. Raises as `Runner.run` does."""
        began, display = time.monotonic(), display or self._options.display
        root, folder = self._options.root, self._options.loops / spec.loop_id
        try:
            with Lock(folder / layout.LOCK):
                start = spec.start_commit or take_snapshot(root, display)
                spec = replace(spec, start_commit=start, begin=spec.begin or start)
                if so_far:
                    git.unlock(root, spec.loop_id)
                git.keep_start(root, spec.loop_id, spec.start_commit, spec.begin)
                self._running.add(spec.loop_id)
                try:
                    self._run_somewhere(spec, folder, display)
                finally:
                    self._running.discard(spec.loop_id)
                loop = load(folder / layout.RECORD)
                self._hand_on_notes(spec, folder, loop)
        finally:
            layout.remove_unrecorded(folder)
            if not folder.exists():
                with suppress(RepositoryError):
                    git.unpublish(root, spec.loop_id)
        return Result(loop, read_spent(folder / layout.LEDGER), time.monotonic() - began, folder / layout.RECORD)

    def stop(self) -> None:
        """Interrupt the loops that run, and let no further loop begin."""
        self._stopped = True
        for loop_id in list(self._running):
            self._interrupt(loop_id)

    def close(self) -> None: ...

    def _run_somewhere(self, spec: LoopSpec, folder: Path, display: Display) -> None:
        """Hand the loop to workers until one has brought it to an end. A worker without an engine or an image is left for another."""
        unfit: frozenset[str] = frozenset()
        trouble: CodagentError | None = None
        for _ in range(TRIES):
            if self._stopped:
                raise KeyboardInterrupt
            try:
                node, trouble = self._follow(spec, folder, display, unfit)
            except WorkerLost as error:
                trouble = SandboxError(f"{TRIES} workers were lost with the loop; the latest: {error}")
                display.say(f"its worker was lost ({error}); the loop goes on elsewhere, from its record")
                self._book_unheard_request(folder)
                continue
            except NoWorkerLeft:
                break
            if trouble is None:
                return
            display.say(f"its worker cannot go on ({trouble}); another is tried")
            unfit |= {node}
        if trouble and not (folder / layout.RECORD).exists():
            raise trouble

    def _follow(self, spec: LoopSpec, folder: Path, display: Display, unfit: frozenset[str]) -> tuple[str, CodagentError | None]:
        """Keep what comes back of a loop. Returns the worker's machine, and why another should have the loop; None: it is over."""
        node, parcel = "", self._pack_parcel(spec, folder)
        for piece in self._run_elsewhere(parcel, self._pack_commits(spec, parcel), unfit):
            match piece:
                case Began():
                    node = piece.node
                case Said():
                    display.say(piece.line)
                case Seen():
                    _show(display, piece)
                case FileTail():
                    _write_tail(folder, piece)
                case KeptWork():
                    self._keep_work(spec, piece, display)
                case Failed():
                    return node, self._restore_trouble(piece)
        loop = load(folder / layout.RECORD)
        if loop.end == "interrupted" and not self._stopped:  # its machine is going down
            raise WorkerLost("it was ended")
        broke = loop.end == "sandbox" and not self._stopped
        return node, SandboxError(loop.attempts[-1].cause) if broke else None

    def _restore_trouble(self, piece: Failed) -> SandboxError:
        """Return what another worker may not have. Raises what would be the same elsewhere, or WorkerLost."""
        if piece.kind == "KeyboardInterrupt":
            raise KeyboardInterrupt if self._stopped else WorkerLost("it was ended")
        error = getattr(errors, piece.kind, SandboxError)(piece.message)
        if not isinstance(error, SandboxError):
            raise error
        return error

    def _keep_work(self, spec: LoopSpec, piece: KeptWork, display: Display) -> None:
        root = self._options.root
        git.receive(root, piece.base, piece.commit, piece.pack)
        try:
            git.publish(root, spec.loop_id, piece.position, piece.commit, best=piece.best)
        except NotPublished as error:
            display.say(str(error))

    def _pack_parcel(self, spec: LoopSpec, folder: Path) -> Parcel:
        access, options = self._options.access, self._options
        return Parcel(
            spec, options.settings, read_files(folder), options.profile, access.api_key, access.calling, access.secret, self._setup
        )

    def _pack_commits(self, spec: LoopSpec, parcel: Parcel) -> bytes:
        made = git.list_published(self._options.root, spec.loop_id).values() if parcel.files else ()
        starts = (task.start for task in spec.tasks if task.start)
        return git.pack(self._options.root, spec.begin, (spec.start_commit, *starts, *made))

    def _book_unheard_request(self, folder: Path) -> None:
        """Set aside what a request may have cost that the lost worker had under way: as much as the latest one and a longest reply."""
        if not (folder / layout.LEDGER).exists() or not (folder / layout.RECORD).exists():
            return
        loop = load(folder / layout.RECORD)
        replies = [step.reply for episode in loop.episodes for step in episode.steps]
        most = self._options.settings.limits.tokens
        ledger = Ledger(folder / layout.LEDGER, replace(self._options.settings.limits, seconds=1e9), find_price(self._options.settings))
        with suppress(LimitReached):
            ledger.reserve(
                max((reply.total_tokens for reply in replies), default=0), min(most, replies[-1].sampling.max_tokens if replies else 0)
            )

    def _hand_on_notes(self, spec: LoopSpec, folder: Path, loop: Loop) -> None:
        """Write the notes into the file that the loop is to keep up to date, when that is not its own."""
        if spec.notes_file and Path(spec.notes_file) != folder / NOTES and any(episode.kind == "notes" for episode in loop.episodes):
            NotesFile(Path(spec.notes_file), layout.versions_dir(self._options.loops), who=loop.id).write(loop.latest_notes)


def _read_setup(options: RunnerOptions) -> Setup | None:
    """Return what the repository sets up for its sandbox, once the person allows it."""
    if options.settings.sandbox == LOCAL:
        options.display.say("the local sandbox does not isolate: commands run on the workers' machines, as their user")
        return None
    from codagent.sandbox.definition import load_for_repository

    return options.access.allow(options.root, load_for_repository(options.settings.sandbox, options.settings.sandbox_setup))


def _show(display: Display, piece: Seen) -> None:
    if piece.kind == "reply":
        display.on_reply(piece.value, None)  # type: ignore[arg-type]
    else:
        getattr(display, f"on_{piece.kind}")(piece.value)


def _write_tail(folder: Path, piece: FileTail) -> None:
    """Write the bytes at their place in a file that travels, and cut off what followed."""
    if piece.name not in FILES:
        return
    with os.fdopen(open_plain(folder / piece.name, os.O_RDWR | os.O_CREAT), "r+b") as file:
        file.truncate(piece.offset)
        file.seek(piece.offset)
        file.write(piece.data)
