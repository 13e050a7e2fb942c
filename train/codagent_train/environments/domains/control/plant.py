"""The rules of optimal control in one dimension: a hidden linear plant, tasks, and the reward of a law. No texts.

In each step the speed becomes a*v + b*u and the place x + v. The control u is kept within [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from codagent_train.environments.domains.shared.draws import Draws

EFFORT, SPEED = 0.03, 2.0  # what a unit of u squared costs, and of the last speed squared
MALFORMED = -0.1  # the reward of an answer that has not the expected form
GOOD = 0.9  # the reward from which an attempt counts as passed

Law = Callable[[int, float, float], float]  # from step, place and speed to the control; it may raise ArithmeticError or ValueError


@dataclass(frozen=True, slots=True)
class ControlLevel:
    """How far tasks go. Places, speeds and targets are drawn uniformly from -bound to bound."""

    name: str
    horizon: int  # steps
    place: float
    speed: float
    target: float
    noise: float = 0.0  # standard deviation of what chance adds to the speed in each step


LEVELS = {
    level.name: level
    for level in (
        ControlLevel("easy", 8, 1.0, 0.5, 3.0),
        ControlLevel("medium", 12, 2.0, 1.0, 5.0),
        ControlLevel("hard", 12, 2.0, 1.5, 8.0),
        ControlLevel("noisy", 12, 2.0, 1.5, 8.0, noise=0.05),  # not in the paper
    )
}


@dataclass(frozen=True, slots=True)
class Plant:
    """What is hidden, and the same in all tasks of a pack."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Course:
    """One task: where it begins, and where it is to end at rest."""

    x: float
    v: float
    target: float
    horizon: int
    shocks: tuple[float, ...] = ()  # what chance adds to the speed in each step; empty: nothing


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a law did. The table has a row (x, v, u) for each step, and the last state follows it."""

    table: tuple[tuple[float, float, float], ...]
    x: float
    v: float
    loss: float

    @property
    def reward(self) -> float:
        return 1.0 / (1.0 + self.loss)


class LawFailed(ArithmeticError):
    """A law gave no finite number. The message names the step and what went wrong."""


def draw_plant(pack_seed: int) -> Plant:
    draws = Draws(pack_seed)
    a, size = draws.real(0.55, 1.2), draws.real(0.35, 1.5)
    return Plant(a, -size if draws.chance(0.5) else size)


def draw_course(level: ControlLevel, task_seed: int) -> Course:
    draws = Draws(task_seed)
    x, v, target = (draws.real(-bound, bound) for bound in (level.place, level.speed, level.target))
    shocks = tuple(level.noise * draws.normal() for _ in range(level.horizon)) if level.noise else ()
    return Course(x, v, target, level.horizon, shocks)


def gains_law(course: Course, kp: float, kd: float) -> Law:
    """Return the law u = kp * (target - x) - kd * v."""
    return lambda _, x, v: kp * (course.target - x) - kd * v


def run_law(plant: Plant, course: Course, law: Law) -> Trajectory:
    """Run a law over the horizon. Raises LawFailed when it gives no finite number in a step."""
    x, v, effort, table = course.x, course.v, 0.0, []
    for step in range(course.horizon):
        try:
            control = law(step, x, v)
        except (ArithmeticError, ValueError) as error:
            raise LawFailed(f"step {step}: {error}") from None
        if not isfinite(control):
            raise LawFailed(f"step {step}: the value is {control}")
        u = min(1.0, max(-1.0, control))
        table.append((x, v, u))
        v = plant.a * v + plant.b * u + (course.shocks[step] if course.shocks else 0.0)
        x += v
        effort += EFFORT * u * u
    return Trajectory(tuple(table), x, v, (x - course.target) ** 2 + SPEED * v * v + effort)
