"""What one command works with, and one task done with it: sandbox, snapshot and model made ready side by side, a loop run, a result."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codagent import git, state
from codagent.cli.sandboxes import Sandboxes, starter
from codagent.config import Settings
from codagent.errors import UsageError
from codagent.ledger import Ledger, Metered, Spent
from codagent.loop import run_loop
from codagent.record import Record
from codagent.repository import Repository, Workplace
from codagent.types import Episode, Limits, Loop, Model, Price, Profile, Task
from codagent.ui.progress import Progress


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
        self._check_time: Callable[[], None] = lambda: None
        self._start_sandbox = starter(root, settings, progress.say)
        self._open_model = open_model
        self._model: Future[Ready] | None = None

    def wrote(self, text: str) -> None:
        """Hears the model write; ends it when the time is over."""
        self.progress.wrote(text)
        self._check_time()

    def do(self, instruction: str) -> Result:
        """Work on one task. Raises only what kept it from beginning."""
        began = time.monotonic()
        loop_id = state.new_loop(self._loops)
        folder = self._loops / loop_id
        with ExitStack() as stack:
            stack.callback(state.forget_empty, folder)
            sandboxes = stack.enter_context(closing(Sandboxes(self._pool, self._start_sandbox, loop_id)))
            snapshot = git.snapshot(self.root)
            packed = git.pack(snapshot.root, snapshot.commit)
            self._model = self._model or self._pool.submit(self._open_model, self)
            ready = self._model.result()
            limits = self._limits(ready)
            profile = replace(ready.profile, steps=min(limits.steps, ready.profile.steps or limits.steps))
            ledger = Ledger(folder / state.LEDGER, limits, ready.price)
            self._check_time = ledger.check_time
            place = Workplace(snapshot, packed, sandboxes.open, loop_id, ledger, self.settings.protect)
            environment = stack.enter_context(closing(Repository(place, profile)))
            loop = Loop(loop_id, loop_id, "repository", ready.model.name, snapshot.commit, settings=self._told(limits, profile))
            record = stack.enter_context(closing(Record(folder / state.RECORD, loop)))
            task = Task(loop_id, instruction, self.settings.checks)
            model = Metered(ready.model, ledger)
            gc.enable()
            loop = run_loop(model, environment, [task], loop=loop, profile=profile, observers=(record, self.progress))
            record.finish(loop.episodes[-1].end or "")
        return Result(loop, ledger.spent, time.monotonic() - began, folder / state.RECORD)

    def close(self) -> None:
        """Let the model go, whatever became of it."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._model and not self._model.cancelled() and self._model.exception() is None:
            self._model.result().model.close()

    def _limits(self, ready: Ready) -> Limits:
        limits = self.settings.limits
        if ready.price is not None:
            return limits
        if "max_usd" in self.settings.asked:
            raise UsageError(f"the price of {ready.model.name} is not known, so --max-usd cannot hold; limit it with --max-tokens instead")
        return replace(limits, usd=None)

    def _told(self, limits: Limits, profile: Profile) -> dict[str, Any]:
        """What the record says of the settings: all that a replay needs."""
        kept = {
            "sandbox": self.settings.sandbox,
            "sandbox_setup": dict(self.settings.sandbox_setup),
            "protect": list(self.settings.protect),
        }
        return {**kept, "limits": asdict(limits), "profile": asdict(profile)}
