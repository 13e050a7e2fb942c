"""What one command works with, and one task done with it: sandbox, snapshot and model made ready side by side, a loop run, a result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codagent import git, state
from codagent.config import Settings
from codagent.errors import UsageError
from codagent.ledger import Ledger, Metered, Spent
from codagent.loop import run_loop
from codagent.record import Record
from codagent.repository import Repository, Workplace
from codagent.types import Episode, Limits, Loop, Model, Price, Profile, Sandbox, Task
from codagent.ui.progress import Progress

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that answers, how it is best worked with, and what it costs (None: unknown)."""

    model: Model
    profile: Profile
    price: Price | None


@dataclass(frozen=True, slots=True)
class Result:
    """One finished loop, as a command reports it."""

    loop: Loop
    spent: Spent
    seconds: float
    record: Path

    @property
    def episode(self) -> Episode:
        return self.loop.episodes[-1]

    @property
    def change(self) -> tuple[str, str] | None:
        """The commits before and after, where there is a difference."""
        start, commit = self.loop.start_commit, self.episode.commit
        return (start, commit) if commit and commit != start else None


class Desk:
    """Everything that stays from task to task: where, with which settings, with which model. Tasks are done by `do`."""

    def __init__(
        self, root: Path, settings: Settings, *, loops: Path | None, progress: Progress, open_model: Callable[[Desk], Ready]
    ) -> None:
        self.root, self.settings, self.progress = root, settings, progress
        self._loops = state.loops_dir(root, loops)
        self._pool = ThreadPoolExecutor(thread_name_prefix="codagent")
        self._deadline_check: Callable[[], None] = lambda: None
        if settings.sandbox == LOCAL:
            progress.say("the local sandbox does not isolate: commands run on this machine, as you")
        self._model = self._pool.submit(open_model, self)

    def wrote(self, text: str) -> None:
        """Hears the model write; ends it when the time is over."""
        self.progress.wrote(text)
        self._deadline_check()

    def do(self, instruction: str) -> Result:
        """Work on one task. Raises only what kept it from beginning."""
        began = time.monotonic()
        loop_id = state.new_loop(self._loops)
        folder = self._loops / loop_id
        with ExitStack() as stack:
            stack.callback(_drop_if_empty, folder)
            sandboxes = stack.enter_context(
                closing(_Sandboxes(self._pool, lambda: open_sandbox(self.root, self.settings, loop_id, self.progress.say)))
            )
            snapshot = git.snapshot(self.root)
            ready = self._model.result()
            limits = self._limits(ready)
            ledger = Ledger(folder / state.LEDGER, limits, ready.price)
            self._deadline_check = ledger.check_time
            profile = replace(ready.profile, steps=min(limits.steps, ready.profile.steps or limits.steps))
            place = Workplace(snapshot, sandboxes.open, loop_id, ledger, self.settings.protect)
            environment = stack.enter_context(closing(Repository(place, profile)))
            loop = Loop(loop_id, loop_id, "repository", ready.model.name, snapshot.commit, settings=self._told(limits, profile))
            record = Record(folder / state.RECORD, loop)
            task = Task(loop_id, instruction, self.settings.checks)
            loop = run_loop(
                Metered(ready.model, ledger), environment, [task], loop=loop, profile=profile, observers=(record, self.progress)
            )
            record.close(loop.episodes[-1].end or "")
        return Result(loop, ledger.spent, time.monotonic() - began, folder / state.RECORD)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if not self._model.cancelled() and self._model.exception() is None:
            self._model.result().model.close()

    def _limits(self, ready: Ready) -> Limits:
        limits = self.settings.limits
        if ready.price is not None:
            return limits
        if "max_usd" in self.settings.asked:
            raise UsageError(f"the price of {ready.model.name} is not known, so --max-usd cannot hold; limit it with --max-tokens instead")
        return replace(limits, usd=None)

    def _told(self, limits: Limits, profile: Profile) -> dict[str, Any]:
        kept = {
            "sandbox": self.settings.sandbox,
            "sandbox_setup": dict(self.settings.sandbox_setup),
            "protect": list(self.settings.protect),
        }
        return {**kept, "limits": asdict(limits), "profile": asdict(profile)}


class _Sandboxes:
    """Opens sandboxes; the first is being started while everything else gets ready."""

    def __init__(self, pool: ThreadPoolExecutor, start: Callable[[], Sandbox]) -> None:
        self._start = start
        self._first: Future[Sandbox] | None = pool.submit(start)

    def open(self) -> Sandbox:
        first, self._first = self._first, None
        return first.result() if first else self._start()

    def close(self) -> None:
        if self._first is not None and self._first.exception() is None:
            self._first.result().close()


def open_sandbox(root: Path, settings: Settings, loop_id: str, say: Callable[[str], None]) -> Sandbox:
    """A fresh sandbox as the settings want it."""
    if settings.sandbox == LOCAL:
        from codagent.sandbox.local import LocalSandbox

        return LocalSandbox()
    from codagent.sandbox.definition import for_repository
    from codagent.sandbox.docker import DockerSandbox
    from codagent.sandbox.image import ensure_image

    definition = for_repository(settings.sandbox, settings.sandbox_setup)
    return DockerSandbox.start(definition, loop=loop_id, image=ensure_image(definition, root=root, say=say))


def _drop_if_empty(folder: Path) -> None:
    if not any(os.scandir(folder)):
        folder.rmdir()
