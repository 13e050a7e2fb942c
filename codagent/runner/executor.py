"""Where loops run: an executor makes the runners, and can stop all that it has made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

from codagent.runner.display import Display
from codagent.runner.model import Access
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec, OpenedModel, Result
from codagent.settings.settings import Settings
from codagent.types import Loop, Profile


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """What a runner is made from."""

    root: Path  # the repository
    settings: Settings
    loops: Path  # the folder of its loops
    display: Display
    open_model: Callable[[], OpenedModel]  # on this machine
    access: Access
    profile: Profile | None = None  # that a record has for the model; None: the model's own


class LoopRunner(Protocol):
    """Runs loops of one repository, as `Runner` does. Several threads may call `run`, and any thread may call `stop`."""

    def run(self, spec: LoopSpec, so_far: Loop | None = None, *, display: Display | None = None) -> Result: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Executor(Protocol):
    """Makes runners. `stop` interrupts all their loops, which can then be resumed, and lets no further loop begin."""

    def make_runner(self, options: RunnerOptions) -> LoopRunner: ...
    def stop(self) -> None: ...


R = TypeVar("R", bound=LoopRunner)


class MadeRunners(Generic[R]):
    """The runners that an executor has made and that are still used. Once they are stopped, a runner that is added is stopped, too."""

    def __init__(self) -> None:
        self._runners: WeakSet[R] = WeakSet()
        self._stopped = False

    def add(self, runner: R) -> R:
        """Remember a runner, and return it."""
        self._runners.add(runner)
        if self._stopped:  # just now: `stop` may not have seen it
            runner.stop()
        return runner

    def stop(self) -> None:
        """Stop all of them. From any thread."""
        self._stopped = True
        for runner in list(self._runners):
            runner.stop()


class LocalExecutor:
    """An Executor whose loops run in threads of this process."""

    def __init__(self) -> None:
        self._made = MadeRunners[Runner]()

    def make_runner(self, options: RunnerOptions) -> Runner:
        runner = Runner(
            options.root,
            options.settings,
            loops=options.loops,
            display=options.display,
            open_model=options.open_model,
            access=options.access,
        )
        return self._made.add(runner)

    def stop(self) -> None:
        self._made.stop()
