"""Loops of one repository, run with one model: sandbox, snapshot and model are made ready side by side, then a loop is run and recorded."""

from __future__ import annotations

import errno
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.errors import RecordError, RepositoryError
from codagent.repository import git
from codagent.runner.display import Display
from codagent.runner.model import Access
from codagent.runner.spec import LoopSpec, OpenedModel, Result, effective_limits, new_loop
from codagent.sandbox.pool import SandboxFactory, SandboxPool
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.lock import Lock
from codagent.types import Loop, Profile

if TYPE_CHECKING:  # what a loop needs when its sandbox is being started is imported then
    from codagent.mcp.tools import McpTools
    from codagent.runner.workspace import Surroundings
    from codagent.store.ledger import Ledger

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AHEAD = 4  # the sandboxes that a loop keeps ready: its tests run in three, as they are and with the twins of each half; one to go on in


@dataclass(frozen=True, slots=True)
class _Running:
    """What has to be stopped when a loop has to."""

    ledger: Ledger
    sandboxes: SandboxPool

    def interrupt(self) -> None:
        self.ledger.interrupt()
        self.sandboxes.interrupt()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a loop is run with."""

    spec: LoopSpec  # with the commits that it begins from
    loop: Loop  # before its first episode, or as it is resumed
    opened: OpenedModel
    profile: Profile  # within the loop's limits
    around: Surroundings
    packed: bytes  # the commit that the loop begins with, packed for a sandbox
    sandboxes: SandboxPool


class Runner:
    """Runs loops of the repository at `root`, one after the other or side by side in threads."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        *,
        loops: Path,
        display: Display,
        open_model: Callable[[], OpenedModel],
        access: Access,
    ) -> None:
        """`open_model` is called in a thread while the first loop is prepared; and again when it failed for an earlier loop."""
        self.root, self.settings, self.display, self.loops = root, settings, display, loops
        self._secret, self._ask_call = access.secret, access.ask_call
        self._ask_changes = partial(access.ask_changes, display.say) if access.ask_changes else None
        self._pool = ThreadPoolExecutor(thread_name_prefix="codagent")
        self._start_sandbox = SandboxFactory(root, settings, display.say, access.allow)
        self._open_model, self._lock = open_model, threading.Lock()
        self._model: Future[OpenedModel] | None = None
        self._running: list[_Running] = []
        self._stopped = False

    def run(self, spec: LoopSpec, so_far: Loop | None = None, *, display: Display | None = None) -> Result:
        """Run one loop, or resume the one in `so_far`. `display` shows it in place of the runner's own.

        Raises only what kept the loop from beginning, KeyboardInterrupt after `stop` for one; later failures are in the loop's `end`.
        RecordError when the disk is full.
        """
        began, display = time.monotonic(), display or self.display
        with self.prepare(spec, so_far, display) as ready, self._stoppable(ready.around.ledger, ready.sandboxes):
            from codagent.runner.result import outcome_label, summary

            ledger = ready.around.ledger
            ready.around.toolbox.hooks.start()
            loop = self._run_recorded(ready, display)
        result = Result(loop, ledger.spent, time.monotonic() - began, self.loops / spec.loop_id / layout.RECORD, ledger.used)
        if trouble := ready.around.toolbox.hooks.end({"reason": outcome_label(loop), **summary(result)}):
            display.say(f"a hook at the end failed: {trouble}")
        return result

    @contextmanager
    def prepare(self, spec: LoopSpec, so_far: Loop | None, display: Display) -> Iterator[Prepared]:
        """Hold a loop's folder, and make ready what the loop is run with. Raises as `run` does."""
        self._check_stopped()
        folder = self.loops / spec.loop_id
        self._start_sandbox.read_setup()
        start_sandbox = partial(self._start_sandbox, on_output=display.on_output)
        with (
            self._hold_folder(folder, f"codagent {'session' if spec.session else 'loop'} --resume {spec.loop_id}"),
            closing(SandboxPool(self._pool, start_sandbox, spec.loop_id, ahead=_AHEAD if spec.iterate else 0)) as sandboxes,
            closing(self._open_servers(spec, so_far, display)) as servers,
        ):
            spec, packed = self._take_snapshot(spec)
            opening = self._begin_opening()  # not before: its imports would hold up the requests that start the sandbox
            if so_far:
                git.unlock(self.root, spec.loop_id)
            git.keep_start(self.root, spec.loop_id, spec.start_commit, spec.begin)
            from codagent.repository.tools.tool_hooks import Hooks
            from codagent.repository.tools.toolbox import Toolbox
            from codagent.runner.workspace import Surroundings
            from codagent.store.ledger import Ledger

            model = opening.result()
            self._check_stopped()
            effective = effective_limits(self.settings, model, spec.seed)
            last_sign = (folder / layout.RECORD).stat().st_mtime if so_far else None
            ledger = Ledger(folder / layout.LEDGER, effective.limits, model.price, last_sign=last_sign)
            checked = self.settings.checks if spec.session else any(task.checks for task in spec.tasks)
            image = self._start_sandbox.image() if checked else ""
            loop = so_far or new_loop(spec, model.model.name, self.settings, effective, image=image, secret=self._secret)
            hooks = Hooks(self.settings.hooks, self.root, spec.loop_id, folder / layout.RECORD)
            ask = None if spec.session else self._ask_changes  # on a session's terminal, the person types already
            ways = (sandboxes.open, sandboxes.open_for_verdict)
            around = Surroundings(self.root, self.loops, *ways, image, ledger, display.say, Toolbox(hooks, servers), ask)
            yield Prepared(spec, loop, model, effective.profile, around, packed, sandboxes)

    def change_model(self, settings: Settings, open_model: Callable[[], OpenedModel]) -> OpenedModel:
        """Open another model, that `settings` name, and close the one before. Raises what `open_model` raises; then all stays as it was."""
        opened, before = open_model(), self._model
        self._model = Future()
        self._model.set_result(opened)
        self.settings, self._open_model = settings, open_model
        if before:
            before.add_done_callback(_close_model)
        return opened

    def stop(self) -> None:
        """Interrupt the loops that run, from another thread. They can be resumed. No further loop begins."""
        self._stopped = True
        for running in list(self._running):
            running.interrupt()

    def close(self) -> None:
        """Wait for the threads and close the model."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._model:
            _close_model(self._model)

    def _open_servers(self, spec: LoopSpec, so_far: Loop | None, display: Display) -> McpTools:
        """Connect to MCP servers. A loop, which nobody watches, uses only the person's own."""
        from codagent.mcp.tools import McpTools

        servers = [server for server in self.settings.servers if server.own or not spec.iterate]
        last = so_far.episodes[-1] if so_far and so_far.episodes else None
        ask = partial(self._ask_call, display.say) if self._ask_call and not spec.iterate else None
        return McpTools(servers, self.root, display.say, last.steps if last and last.resumable else (), ask)

    def _check_stopped(self) -> None:
        if self._stopped:
            raise KeyboardInterrupt

    def _begin_opening(self) -> Future[OpenedModel]:
        """Have the model opened, unless it is. A failure is that of one loop: the next loop has the model opened again."""
        with self._lock:
            if self._model is None or (self._model.done() and self._model.exception()):
                self._model = self._pool.submit(self._open_model)
            return self._model

    def _take_snapshot(self, spec: LoopSpec) -> tuple[LoopSpec, bytes]:
        """The spec with the commits that it begins from, and the second of them packed for a sandbox."""
        from codagent.runner.workspace import take_snapshot

        start = spec.start_commit or take_snapshot(self.root, self.display)
        spec = replace(spec, start_commit=start, begin=spec.begin or start)
        return spec, git.pack(self.root, spec.begin)

    def _run_recorded(self, ready: Prepared, display: Display) -> Loop:
        from codagent.agent.episode import Agent
        from codagent.agent.loop import run_loop
        from codagent.runner.planning.schedule import plan_loop
        from codagent.runner.workspace import open_notes, open_workspace
        from codagent.store.metered_model import MeteredModel
        from codagent.store.record import Record

        spec, loop, around, packed = ready.spec, ready.loop, ready.around, ready.packed
        next_task, view = plan_loop(self.root, spec, loop, around.ledger)
        display.watch(view)
        earlier = [episode for episode in loop.episodes if not episode.resumable]
        with (
            Record(self.loops / spec.loop_id / layout.RECORD, loop) as record,
            closing(open_workspace(spec, self.settings, around, ready.profile, packed, earlier)) as workspace,
        ):
            agent = Agent(MeteredModel(ready.opened.model, around.ledger, display.on_text), ready.profile, observers=(record, display))
            loop = run_loop(agent, workspace, next_task, loop=loop, notes_io=open_notes(spec, loop, self.loops))
            record.finish(loop.end or "")
        return loop

    @contextmanager
    def _hold_folder(self, folder: Path, go_on: str) -> Iterator[None]:
        """Keep other processes out of the loop's folder; remove the folder when no record came to be. The command `go_on` resumes it."""
        try:
            with Lock(folder / layout.LOCK) as lock:
                if lock.took_over:
                    self.display.say(f"{lock.took_over} worked on this and is gone; this process goes on")
                yield
        except OSError as error:
            if not self.root.is_dir():
                again = f"in its present place, `{go_on}` goes on"
                raise RecordError(f"{self.root} was moved or removed while {folder.name} was worked on; {again}") from error
            if error.errno not in _DISK_FULL:
                raise
            where = error.filename or f"{folder} or {tempfile.gettempdir()}"
            message = f"the record could not be written: {where}: {error.strerror}"
            raise RecordError(f"{message}; make room, then `{go_on}`") from error
        finally:
            layout.remove_unrecorded(folder)
            with suppress(RepositoryError):  # the refs of a loop that never began keep a commit and harm nobody
                if not folder.exists() and self.root.is_dir() and not git.list_published(self.root, folder.name):
                    git.unpublish(self.root, folder.name)

    @contextmanager
    def _stoppable(self, ledger: Ledger, sandboxes: SandboxPool) -> Iterator[None]:
        running = _Running(ledger, sandboxes)
        self._running.append(running)
        if self._stopped:  # just now: `stop` may not have seen it
            running.interrupt()
        try:
            yield
        finally:
            self._running.remove(running)


def _close_model(opening: Future[OpenedModel]) -> None:
    """Close a model that was opened, or had to be."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().model.close()
