"""Solves the equations of PDE discovery on a grid and samples them. numpy is imported where it is used.

Diffusion is stepped by backward Euler, the reaction explicitly. u is 0 at both ends, x and t run from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from codagent_train.environments.domains.pde.equation import LEVELS, Equation, draw_equation
from codagent_train.environments.domains.shared.draws import Draws

CELLS, STEPS = 257, 2001  # points of the grid in x and t
_COARSE = 65, 401  # the grid on which equations are checked for stability
LIMIT = 3.0  # |u| must stay below
AMPLITUDE = 2.7656  # the greatest first sine mode that stays below the limit for all equations of both families
NOISE_U, NOISE_Y = 0.002, 0.0005  # standard deviations
_TRIES = 128

Point = tuple[float, float]  # x and t
Sample = tuple[float, float]  # u, and y = u_t - u_xx, which is f(u) but for errors


@dataclass(frozen=True)
class Problem:
    """What a pack shares, and where each of its tasks begins."""

    equation: Equation
    starts: Any  # (tasks, CELLS) float64


def evaluate_term(name: str, u: Any) -> Any:
    """Return a term of the dictionary at an array of values."""
    import numpy as np

    if name[0] == "u":
        return u ** int(name[1:] or 1)
    power = u * u
    functions = {
        "sin": lambda: np.sin(u),
        "sin2": lambda: np.sin(2 * u),
        "exp": lambda: np.expm1(u),
        "log": lambda: np.log1p(power),
        "tanh": lambda: np.tanh(u),
        "inh": lambda: u / (1 + power),
        "hill2": lambda: power / (1 + power),
        "hill4": lambda: power**2 / (1 + power**2),
        "hald": lambda: u / (1 + u + power),
    }
    return functions[name]()


def reaction(equation: Equation, u: Any) -> Any:
    return sum(value * evaluate_term(name, u) for name, value in equation.coefficients)


@lru_cache(maxsize=64)
def draw_problem(level: str, pack_seed: int, tasks: int) -> Problem:
    """Draw an equation whose solutions stay below the limit, and one initial condition for each task.

    The amplitudes of the initial conditions are spread evenly over the tasks, in random order.
    """
    import numpy as np

    draws = Draws(pack_seed)
    template = draws.choice(LEVELS[level].templates)
    for _ in range(_TRIES):
        equation, starts = draw_equation(template, draws), np.array(_draw_starts(draws, tasks))
        if _stays_below(equation, starts[:, :: (CELLS - 1) // (_COARSE[0] - 1)]):
            break
    return Problem(equation, starts)


@lru_cache(maxsize=16)
def solve(level: str, pack_seed: int, tasks: int, position: int) -> Any:
    """Return the solution of a task, (STEPS, CELLS) float64."""
    import numpy as np

    problem, dt = draw_problem(level, pack_seed, tasks), 1 / (STEPS - 1)
    solution, inverse = np.zeros((STEPS, CELLS)), _diffusion_inverse(CELLS, STEPS)
    solution[0] = problem.starts[position]
    for step in range(STEPS - 1):
        u = solution[step, 1:-1]
        solution[step + 1, 1:-1] = inverse @ np.clip(u + dt * reaction(problem.equation, u), -LIMIT, LIMIT)
    return solution


def take_samples(solution: Any, equation: Equation, points: Sequence[Point], draws: Draws) -> list[Sample]:
    """Sample u and y at points with 0 < x < 1 and 0 <= t <= 1, bilinearly, with noise."""
    samples = []
    for x, t in points:
        column, row = min(int(x * (CELLS - 1)), CELLS - 2), min(int(t * (STEPS - 1)), STEPS - 2)
        right, later = x * (CELLS - 1) - column, t * (STEPS - 1) - row
        corners = [
            (row + down, column + aside, (later if down else 1 - later) * (right if aside else 1 - right))
            for down in (0, 1)
            for aside in (0, 1)
        ]
        u = sum(weight * solution[step, cell] for step, cell, weight in corners)
        y = sum(weight * _residual(solution, equation, step, cell) for step, cell, weight in corners)
        samples.append((float(u) + NOISE_U * draws.normal(), float(y) + NOISE_Y * draws.normal()))
    return samples


def _residual(solution: Any, equation: Equation, step: int, cell: int) -> Any:
    """Return u_t - u_xx at a point of the grid, with the differences of the solver; f(u) at the last time; 0 at the ends."""
    if cell in (0, CELLS - 1):
        return 0.0
    if step == STEPS - 1:
        return reaction(equation, solution[step, cell])
    after = solution[step + 1]
    curvature = (after[cell + 1] - 2 * after[cell] + after[cell - 1]) * (CELLS - 1) ** 2
    return (after[cell] - solution[step, cell]) * (STEPS - 1) - curvature


def _draw_starts(draws: Draws, tasks: int) -> list[Any]:
    import numpy as np

    x = np.linspace(0, 1, CELLS)
    amplitudes = draws.shuffle([AMPLITUDE * (band + draws.real(0, 1)) / tasks for band in range(tasks)])
    starts = []
    for amplitude in amplitudes:
        modes = [draws.normal() for _ in range(draws.integer(1, 2))]
        waves = sum(weight * np.sin((number + 1) * np.pi * x) for number, weight in enumerate(modes))
        waves = waves / max(np.abs(waves).max(), 1e-12)
        shape = np.sin(np.pi * x) * (waves - waves.min())
        starts.append(amplitude * shape / max(shape.max(), 1e-12))
    return starts


def _stays_below(equation: Equation, starts: Any) -> bool:
    import numpy as np

    u, inverse, dt = starts[:, 1:-1].T, _diffusion_inverse(*_COARSE), 1 / (_COARSE[1] - 1)
    for _ in range(_COARSE[1] - 1):
        u = inverse @ (u + dt * reaction(equation, u))
        if not (np.abs(u) < LIMIT).all():
            return False
    return True


@cache
def _diffusion_inverse(cells: int, steps: int) -> Any:
    """Return the inverse of (1 - dt * d2/dx2) on the inner points of the grid."""
    import numpy as np

    ratio, inner = (cells - 1) ** 2 / (steps - 1), cells - 2
    return np.linalg.inv((1 + 2 * ratio) * np.eye(inner) - ratio * (np.eye(inner, k=1) + np.eye(inner, k=-1)))
