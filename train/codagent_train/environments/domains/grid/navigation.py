"""The texts of grid navigation in two wordings, and its attempts: one move in each round."""

from __future__ import annotations

import re
from collections.abc import Mapping

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.grid.cost_map import LEVELS, Cell, CostMap, Trip, crossed, draw_costs, draw_trip, seen_from
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_answer, read_prompt
from codagent_train.environments.packs import Pack, Split, seed_of

EXPECTED: Mapping[Wording, str] = {"terse": "row,column", "paper": "<answer>row,column</answer> once"}
_MOVE = re.compile(r"\s*(\d{1,2})\s*,\s*(\d{1,2})\s*")


def make_grid_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. A longer pack begins with the tasks of a shorter one."""
    name = f"grid-{level}"
    costs = draw_costs(LEVELS[level], seed_of(split, name, number))

    def describe(seed: int, _: int) -> str:
        trip = draw_trip(LEVELS[level], costs, seed)
        if wording == "terse":
            return f"from {_name(trip.position)} to {_name(trip.goal)} in {trip.rounds}"
        return f"Go from {_name(trip.position)} to {_name(trip.goal)} in exactly {trip.rounds} rounds."

    return name_tasks(name, split, number, tasks, describe)


def has_move(reply: str) -> bool:
    """Return whether a reply begins with a row and a column."""
    return bool(_MOVE.match(reply))


class GridGame:
    """The tasks of a pack. The cells that were shown are remembered, for tasks with memory "environment"."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        self.rules = read_prompt(__package__, wording)
        self._level, self._wording, self._costs = LEVELS[level], wording, draw_costs(LEVELS[level], pack.seed)
        self._shown: set[Cell] = set()

    def begin(self, task: Task) -> GridAttempt:
        return GridAttempt(draw_trip(self._level, self._costs, task.seed), self._wording, self._shown)

    def forget(self) -> None:
        self._shown = set()


class GridAttempt:
    """An DomainAttempt at one trip. It adds the cells that it sees to `shown`."""

    def __init__(self, trip: Trip, wording: Wording, shown: set[Cell]) -> None:
        self._trip, self._wording, self._shown = trip, wording, shown
        self._problem, self._news = "", ""

    def observe(self) -> str:
        trip = self._trip
        if self._wording == "terse":
            return (
                f"{trip.round + 1}/{trip.rounds} at {_name(trip.position)} to {_name(trip.goal)}\n{describe_map(trip.costs, self._shown)}"
            )
        parts = [f"Round {trip.round + 1}/{trip.rounds}", *([self._news] if self._news else []), self._describe_place()]
        return "\n".join(parts)

    def act(self, reply: str) -> End | None:
        written = reply if self._wording == "terse" else read_answer(reply) or ""
        match = _MOVE.match(written) if self._wording == "terse" else _MOVE.fullmatch(written)
        if not match:
            self._problem = f"the answer has the wrong form; expected: {EXPECTED[self._wording]}"
            return "finished"
        target = int(match[1]), int(match[2])
        if not self._trip.allows(target):
            self._problem = f"{_name(target)} is not another cell of the same row or column within the map"
            return "finished"
        cells = crossed(self._trip.position, target)
        self._shown |= seen_from(cells, self._trip.costs.side)
        self._trip = self._trip.move(target)
        entered = ", ".join(f"{_name(cell)} ({self._trip.costs.cost(cell)})" for cell in cells)
        self._news = f"The move entered {entered}. The loss so far is {self._trip.loss:.2f}."
        return None if self._trip.round < self._trip.rounds else "finished" if self._trip.arrived else "steps"

    def describe_state(self) -> str:
        return self._describe_place() if self._wording == "paper" else describe_map(self._trip.costs, self._shown)

    def judge(self) -> Outcome:
        trip = self._trip
        if self._problem:
            return Outcome(0.0, False, f"Failed: {self._problem}.", ("form",))
        if trip.arrived:
            return Outcome(trip.reward, True, f"At the goal with loss {trip.loss:.2f}, reward {trip.reward:.3f}.")
        end = f"ended at {_name(trip.position)}" if trip.round == trip.rounds else "broken off"
        return Outcome(0.0, False, f"Failed: {end}, not at {_name(trip.goal)}; loss {trip.loss:.2f}.", ("goal",))

    def _describe_place(self) -> str:
        trip = self._trip
        place = f"Position {_name(trip.position)}, target {_name(trip.goal)}, loss {trip.loss:.2f}."
        return f"{place}\nThe map, ? where it is not known:\n{describe_map(trip.costs, self._shown)}"


def describe_map(costs: CostMap, shown: set[Cell]) -> str:
    """Return the grades of the cells that are shown, row by row, and ? for the others."""
    rows = (
        (str(grade) if (row, column) in shown else "?" for column, grade in enumerate(grades)) for row, grades in enumerate(costs.grades)
    )
    return "\n".join(" ".join(row) for row in rows)


def _name(cell: Cell) -> str:
    return f"{cell[0]},{cell[1]}"
