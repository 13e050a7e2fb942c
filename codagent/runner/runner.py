"""What one command works with, and one loop done with it: sandbox, snapshot and model made ready side by side, a loop run, a result."""

from __future__ import annotations

import errno
import gc
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codagent.agent.episode import Agent
from codagent.agent.loop import Carry, in_order, notes, run_loop
from codagent.errors import RecordError
from codagent.repository import git
from codagent.repository.environment import Repository, Workplace
from codagent.runner.schedule import again
from codagent.runner.spec import Job, Ready, Result, fresh_loop, terms
from codagent.sandbox.pool import Sandboxes, Starter
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.ledger import Ledger, MeteredModel, Spent
from codagent.store.lock import Lock
from codagent.store.notes_file import NotesFile
from codagent.store.record import Record, broken_off
from codagent.types import Episode, Limits, Loop, Observer

if TYPE_CHECKING:
    from codagent.repository.gate import Gates

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Display(Observer, Protocol):
    """Where a person sees a loop: an observer that also hears sentences, limits, and the model as it writes."""

    def say(self, line: str) -> None:
        """One sentence for the person who waits."""

    def watch(
        self, limits: Limits, spent: Callable[[], Spent], seconds_left: Callable[[], float], *, earlier: Sequence[Episode] = ()
    ) -> None:
        """A loop begins, or goes on after `earlier` episodes, within these limits."""

    def wrote(self, text: str) -> None:
        """A piece of a reply, as it is sampled."""

    def close(self) -> None:
        """Nothing more is told."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What has to be stopped when a loop has to."""

    ledger: Ledger
    sandboxes: Sandboxes


class Desk:
    """Everything that stays from loop to loop: where, with which settings, with which model. Loops are done by `do`, side by side too."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        *,
        loops: Path,
        progress: Display,
        open_model: Callable[[Desk], Ready],
        secret: bytes = b"",
    ) -> None:
        self._secret = secret
        self.root, self.settings, self.progress, self.loops = root, settings, progress, loops
        self._pool = ThreadPoolExecutor(thread_name_prefix="codagent")
        self._start_sandbox = Starter(root, settings, progress.say)
        self._open_model = open_model
        self._model: Future[Ready] | None = None
        self._here = threading.local()
        self._running: list[_Running] = []

    def wrote(self, text: str) -> None:
        """Hears a model write; ends it when the time of the loop in whose thread it writes is over."""
        self.progress.wrote(text)
        if ledger := getattr(self._here, "ledger", None):
            ledger.check_time()

    def do(self, job: Job, so_far: Loop | None = None, *, shown: Display | None = None) -> Result:
        """Work on one loop, or go on with one, `shown` by itself where there are several. Raises only what kept it from beginning."""
        began, folder = time.monotonic(), self.loops / job.loop_id
        with self._held(folder), closing(Sandboxes(self._pool, self._start_sandbox, job.loop_id, ahead=job.iterate)) as sandboxes:
            if so_far:
                git.unlock(self.root, job.loop_id)
            start = job.start_commit or git.snapshot(self.root).commit
            job = replace(job, start_commit=start, begin=job.begin or start)
            packed = git.pack(self.root, job.begin)
            ready = self._ready()
            held = terms(self.settings, ready, job.seed)
            last_sign = (folder / layout.RECORD).stat().st_mtime if so_far else None
            ledger = Ledger(folder / layout.LEDGER, held.limits, ready.price, last_sign=last_sign)
            with self._stoppable(ledger, sandboxes):
                image = self._start_sandbox.image() if any(task.checks for task in job.tasks) else ""
                place = Workplace(
                    root=self.root,
                    start_commit=start,
                    begin=job.begin,
                    packed=packed,
                    open_sandbox=sandboxes.open,
                    loop_id=job.loop_id,
                    ledger=ledger,
                    gates=self._gates(start, sandboxes, image),
                    start=job.start,
                    limits=held.limits if job.iterate else None,
                )
                loop = so_far or fresh_loop(job, ready.model.name, self.settings, held, image=image, secret=self._secret)
                shown = shown or self.progress
                shown.watch(held.limits, lambda: ledger.spent, lambda: ledger.seconds_left, earlier=loop.episodes)
                loop = self._run(job, loop, place, Agent(MeteredModel(ready.model, ledger), held.profile), shown)
        return Result(loop, ledger.spent, time.monotonic() - began, folder / layout.RECORD)

    def stop(self) -> None:
        """End what is being worked on, from another thread; it can be taken up again."""
        for running in list(self._running):
            running.ledger.interrupt()
            running.sandboxes.interrupt()

    def close(self) -> None:
        """Let the model go, whatever became of it."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._model and not self._model.cancelled() and self._model.exception() is None:
            self._model.result().model.close()

    def _run(self, job: Job, loop: Loop, place: Workplace, agent: Agent, shown: Display) -> Loop:
        record = Record(self.loops / job.loop_id / layout.RECORD, loop)
        book = self._notebook(job, loop)
        earlier = [episode for episode in loop.episodes if not broken_off(episode)]
        with closing(record), closing(Repository(place, agent.profile, earlier)) as environment:
            plan = in_order(job.tasks)
            if place.limits:
                plan = again(job.tasks, place.limits, tree_of=partial(git.tree_of, self.root), say=shown.say)
            agent = replace(agent, observers=(record, shown))
            carry = Carry(job.rewrite, book.read, book.keep) if book else Carry(job.rewrite)
            gc.enable()
            loop = run_loop(agent, environment, plan, loop=loop, carry=carry)
            if place.ledger.interrupted and loop.end != "passed":  # its sandboxes were closed, which is not what ended it
                loop = replace(loop, end="interrupted")
            record.finish(loop.end or "")
        return loop

    def _notebook(self, job: Job, loop: Loop) -> NotesFile | None:
        if not job.notes_file:
            return None
        book = NotesFile(Path(job.notes_file), layout.versions_dir(self.loops), who=job.loop_id)
        book.settle(notes(loop), loop.episodes[-1].notes_before if loop.episodes else "")
        return book

    def _ready(self) -> Ready:
        self._model = self._model or self._pool.submit(self._open_model, self)
        return self._model.result()

    def _gates(self, start: str, sandboxes: Sandboxes, image: str) -> Gates:
        from codagent.repository.gate import Gates

        return Gates(self.root, start, sandboxes.open, protect=self.settings.protect, image=image, cache=layout.verdicts_path(self.loops))

    @contextmanager
    def _held(self, folder: Path) -> Iterator[None]:
        """The loop's folder for this process alone; removed when no record came to be. RecordError when a disk is full."""
        try:
            with Lock(folder / layout.LOCK) as lock:
                if lock.took_over:
                    self.progress.say(f"taken over from {lock.took_over}, which is gone")
                yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            where = error.filename or f"{folder} or {tempfile.gettempdir()}"
            told = f"the record could not be written: {where}: {error.strerror}"
            raise RecordError(f"{told}; make room, then `codagent loop --resume {folder.name}`") from error
        finally:
            layout.remove_if_empty(folder)

    @contextmanager
    def _stoppable(self, ledger: Ledger, sandboxes: Sandboxes) -> Iterator[None]:
        running = _Running(ledger, sandboxes)
        self._running.append(running)
        self._here.ledger = ledger
        try:
            yield
        finally:
            self._running.remove(running)
            self._here.ledger = None
