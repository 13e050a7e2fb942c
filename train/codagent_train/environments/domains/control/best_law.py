"""How well optimal control can be played: the best control of a known plant, and what a table tells about a and b."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import copysign, sqrt

from codagent_train.environments.domains.control.plant import (
    EFFORT,
    GOOD,
    LEVELS,
    SPEED,
    Course,
    Law,
    Plant,
    Trajectory,
    draw_course,
    draw_plant,
    gains_law,
    run_law,
)
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.packs import Pack

USUAL_GAINS = 0.36, 0.88  # kp and kd that are best on average over hard tasks, when b is positive
_SPEED_ROOT = sqrt(SPEED)
_KP = tuple(0.02 * 1.39**step for step in range(14))
_KD = tuple(step / 8 for step in range(-4, 17))


def best_controls(plant: Plant, course: Course) -> list[float]:
    """Return the controls that minimise the loss without noise: exact, by Newton's method on the convex dual in two variables."""
    steps = range(course.horizon)
    powers: list[float] = [plant.a**step for step in range(course.horizon + 1)]
    reach = [plant.b * sum(powers[: course.horizon - step]) for step in steps]  # what a unit of u in a step adds to the last x
    push = [_SPEED_ROOT * plant.b * powers[course.horizon - 1 - step] for step in steps]  # and to the last v, weighted
    gap = course.target - course.x - course.v * sum(powers[1:]), -(_SPEED_ROOT) * powers[course.horizon] * course.v
    p = q = 0.0  # the residuals

    def controls(p: float, q: float) -> list[float]:
        return [min(1.0, max(-1.0, -(reach[step] * p + push[step] * q) / EFFORT)) for step in steps]

    def dual(p: float, q: float) -> float:
        sums = 0.0
        for step in steps:
            pull = -(reach[step] * p + push[step] * q)
            u = min(1.0, max(-1.0, pull / EFFORT))
            sums += pull * u - EFFORT * u * u / 2
        return (p * p + q * q) / 2 + gap[0] * p + gap[1] * q + sums

    for _ in range(60):
        us = controls(p, q)
        slope = (
            p + gap[0] - sum(reach[step] * us[step] for step in steps),
            q + gap[1] - sum(push[step] * us[step] for step in steps),
        )
        free = [step for step in steps if abs(us[step]) < 1.0]
        xx = 1.0 + sum(reach[step] ** 2 for step in free) / EFFORT
        xv = sum(reach[step] * push[step] for step in free) / EFFORT
        vv = 1.0 + sum(push[step] ** 2 for step in free) / EFFORT
        size = xx * vv - xv * xv
        move = (-(vv * slope[0] - xv * slope[1]) / size, -(xx * slope[1] - xv * slope[0]) / size)
        if abs(slope[0]) + abs(slope[1]) < 1e-9:
            break
        here, descent, scale = dual(p, q), move[0] * slope[0] + move[1] * slope[1], 1.0
        while dual(p + scale * move[0], q + scale * move[1]) > here + 1e-4 * scale * descent and scale > 1e-9:
            scale /= 2
        p, q = p + scale * move[0], q + scale * move[1]
    return controls(p, q)


def best_gains(plant: Plant, course: Course) -> tuple[float, float]:
    """Return the two gains of a grid with the greatest reward on this task. The place gain has the sign of b."""
    sign = copysign(1.0, plant.b)
    return max(
        ((sign * kp, sign * kd) for kp in _KP for kd in _KD), key=lambda gains: run_law(plant, course, gains_law(course, *gains)).reward
    )


def identify_plant(table: tuple[tuple[float, float, float], ...], last_speed: float) -> Plant | None:
    """Estimate a and b from a table with three decimals, by least squares. None: the table does not tell them apart."""
    rows = [(round(v, 3), round(u, 3)) for _, v, u in table]
    after = [v for v, _ in rows[1:]] + [round(last_speed, 3)]
    vv, vu, uu = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    vy, uy = (sum(row[i] * y for row, y in zip(rows, after, strict=True)) for i in (0, 1))
    size = vv * uu - vu * vu
    return Plant((uu * vy - vu * uy) / size, (vv * uy - vu * vy) / size) if size > 1e-9 else None


def _score(run: Trajectory) -> Score:
    return Score(run.reward, run.reward >= GOOD)


def _play_each(choose: Callable[[Plant, Course, int], Law]) -> PlayPack:
    """Return a player that chooses its law for each task by itself, from the true plant, the task and a seed."""

    def play(level: str, pack: Pack) -> list[Score]:
        plant = draw_plant(pack.seed)
        courses = [(draw_course(LEVELS[level], task.seed), task.seed + 1 + position) for position, task in enumerate(pack.tasks)]
        return [_score(run_law(plant, course, choose(plant, course, seed))) for course, seed in courses]

    return play


def _random_law(plant: Plant, course: Course, seed: int) -> Law:
    del plant, course
    draws = Draws(seed)
    return lambda *_: draws.real(-1.0, 1.0)


def _best_law(plant: Plant, course: Course, _: int) -> Law:
    controls = best_controls(plant, course)
    return lambda step, *_: controls[step]


def _guess_sign(seed: int) -> int:
    return 1 if Draws(seed).chance(0.5) else -1


def _usual_law(course: Course, sign: float) -> Law:
    """Return one law for all plants whose b has this sign."""
    return gains_law(course, copysign(USUAL_GAINS[0], sign), copysign(USUAL_GAINS[1], sign))


def _carry(level: str, pack: Pack) -> list[Score]:
    """Guess the sign of b for the first task, and take the best gains for the plant that its table shows from then on."""
    plant, known, scores = draw_plant(pack.seed), None, []
    for position, task in enumerate(pack.tasks):
        course = draw_course(LEVELS[level], task.seed)
        law = gains_law(course, *best_gains(known, course)) if known else _usual_law(course, _guess_sign(task.seed + 1 + position))
        run = run_law(plant, course, law)
        known = known or identify_plant(run.table, run.v)
        scores.append(_score(run))
    return scores


PLAYERS: Mapping[str, PlayPack] = {
    "random": _play_each(_random_law),
    "idle": _play_each(lambda *_: lambda *_: 0.0),
    "scratch": _play_each(lambda _, course, seed: _usual_law(course, _guess_sign(seed))),
    "sign known": _play_each(lambda plant, course, _: _usual_law(course, plant.b)),
    "carry": _carry,
    "gains known": _play_each(lambda plant, course, _: gains_law(course, *best_gains(plant, course))),
    "known": _play_each(_best_law),
}
