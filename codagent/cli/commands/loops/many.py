"""Runs many loops for a command: shows them while they run, and prints what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from codagent.cli import options, signals
from codagent.cli.numbers import at_least
from codagent.cli.terminal.event_stream import print_event
from codagent.cli.terminal.output import say, warn
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import CodagentError, UsageError
from codagent.runner.endings import LABEL_WIDTH, label_of
from codagent.runner.result import KEYS, describe_outcome, describe_spent, summary
from codagent.runner.spec import Result
from codagent.settings.settings import Settings
from codagent.text import format_usd

if TYPE_CHECKING:
    from codagent.fleet.budget import FleetBudget
    from codagent.fleet.jobs import LoopJob, RecordedLoops
    from codagent.runner.executor import Executor
    from codagent.runner.launch import LaunchOptions
    from codagent.runner.shared_models import SharedModels

On = Annotated[
    str | None,
    typer.Option("--on", metavar="ray[://HOST:PORT]", help="Run the loops on a Ray cluster.", show_default="this machine"),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        parser=at_least(1),
        metavar="N",
        help="How many loops run at the same time.",
        show_default="2, or the cluster's CPUs",
    ),
]
TotalTokens = Annotated[
    int | None,
    typer.Option("--total-tokens", parser=at_least(1), metavar="N", help="Limit of tokens for all loops together.", show_default="none"),
]
TotalUsd = Annotated[
    float | None,
    typer.Option(
        "--total-usd",
        parser=at_least(0.0001, float),
        metavar="USD",
        help="Limit of US dollars for all loops together.",
        show_default="none",
    ),
]
OnEnd = Callable[["LoopJob", Result], None]


@contextmanager
def open_executor(on: str | None, jobs: int | None) -> Iterator[tuple[Executor, int]]:
    """Open what runs the loops of a command, and say how many run at a time. `on` None: they run here."""
    if on is None:
        from codagent.runner.executor import LocalExecutor

        yield LocalExecutor(), jobs or 2
        return
    from codagent.fleet.ray_executor import RayExecutor

    with closing(RayExecutor(on)) as executor:
        yield executor, jobs or executor.slots


@contextmanager
def open_crowd(on: str | None, jobs: int | None, budget: FleetBudget) -> Iterator[Crowd]:
    """Open what runs the loops of a command within `budget`, and the models that they share. `on` None: they run here."""
    from codagent.runner.shared_models import SharedModels

    with open_executor(on, jobs) as (executor, at_once), closing(SharedModels(at_once)) as models:
        yield Crowd(executor, at_once, budget, models)


def refuse_unknown_price(all_settings: Sequence[Settings], usd: float | None) -> None:
    """Raise UsageError when a limit of money for all loops cannot hold, because the price of a model is not known."""
    from codagent.runner.model import find_price

    for settings in all_settings if usd is not None else ():
        if find_price(settings) is None:
            raise UsageError(f"the price of {settings.model} is not known, so --total-usd cannot hold; use --total-tokens instead")


class JobLines(ProgressLines):
    """Shows one of many loops: its beginnings and ends, after its name. A sentence that another one has said is not said again."""

    def __init__(self, name: str, said: set[str]) -> None:
        super().__init__(prefix=f"{name}: ", live=False)
        self._said = said

    def say(self, line: str) -> None:
        if line not in self._said or line.startswith(("ended", "stopped", "checks")):
            self._said.add(line)
            super().say(line)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The loops of a command, and how they run."""

    executor: Executor
    at_once: int
    budget: FleetBudget
    models: SharedModels  # those that run in this process
    said: set[str] = field(default_factory=set)  # the sentences that were shown
    _recorded: dict[Path, RecordedLoops] = field(default_factory=dict)

    def launch(self, name: str, root: Path, loops: Path, settings: Settings) -> LaunchOptions:
        """Say where and with what the loop `name` is started."""
        from codagent.runner.launch import LaunchOptions

        display = JobLines(name, self.said)
        access = options.access(settings.model)
        return LaunchOptions(root, loops, settings, access, display, lambda _: display, executor=self.executor, open_model=self.models.open)

    def recorded(self, loops: Path) -> RecordedLoops:
        """Return what is on record in the folder `loops`, as it was when it was asked first."""
        from codagent.fleet.jobs import RecordedLoops

        return self._recorded.setdefault(loops, self._recorded.get(loops) or RecordedLoops(loops))

    def run(self, jobs: Sequence[LoopJob], on_end: OnEnd = lambda _job, _result: None) -> Endings:
        """Run the loops. `on_end` hears of each that has a result, as it ends."""
        from codagent.fleet.jobs import run_jobs

        endings = Endings([job.name for job in jobs])

        def hear(job: LoopJob, ended: Result | CodagentError) -> None:
            endings.add(job.name, ended)
            if isinstance(ended, Result):
                on_end(job, ended)

        run_jobs(jobs, self.executor, self.budget, at_once=self.at_once, on_end=hear)
        return endings


class Endings:
    """What came of each loop, as the object of `--json` has it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows: dict[str, dict[str, Any]] = {name: {} for name in names}

    def add(self, name: str, ended: Result | CodagentError) -> None:
        """Keep what came of a loop, and tell the person in a line."""
        if isinstance(ended, Result):
            self._rows[name] = {"name": name, **summary(ended), "answer": None}
            text = f"{describe_outcome(ended.loop)}; {describe_spent(ended)}"
        else:
            text = str(ended)
            self._rows[name] = {"name": name, **dict.fromkeys(KEYS), "outcome": "error", "exit_code": ended.exit_code, "message": text}
        warn(f"{name}: {text}")

    @property
    def exit_code(self) -> int:
        """0 when every loop has passed; else the code of the first that has not."""
        return next((row["exit_code"] for row in self._rows.values() if row["exit_code"]), 0)

    def finish(self, *, json_: bool, stream: bool = False, code: int | None = None, told: str = "", **facts: object) -> NoReturn:
        """Print the table of the loops, or the object with `facts`, and exit.

        `code` is the exit code; None: that of the loops. `told` is the last line of the table; "": how many have passed.
        """
        rows, code = list(self._rows.values()), signals.exit_code(self.exit_code if code is None else code)
        if json_ or stream:
            result = {**dict.fromkeys(KEYS), "outcome": "failed" if code else "passed", "exit_code": code, **facts, "loops": rows}
            if stream:
                print_event("end", **result)
            else:
                say(json.dumps(result))
            raise typer.Exit(code)
        wide = max(map(len, self._rows), default=4)
        say(f"{'loop':<{wide}}  {'outcome':<{LABEL_WIDTH}}  {'tokens':>9}  {'cost':>12}  id")
        for row in rows:
            tokens = "-" if row["tokens"] is None else f"{row['tokens']:,}"
            outcome = f"{label_of(row['outcome']):<{LABEL_WIDTH}}"
            say(f"{row['name']:<{wide}}  {outcome}  {tokens:>9}  {format_usd(row['usd']):>12}  {row['id'] or '-'}")
        passed = sum(not row["exit_code"] for row in rows)
        say(f"\n{told or f'{passed} of {len(rows)} loops passed'}")
        raise typer.Exit(code)
