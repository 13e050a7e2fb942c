"""How far plain regression gets in PDE discovery: samples at six fixed points, and the sparsest equation that fits."""

from __future__ import annotations

from collections.abc import Mapping

from codagent_train.environments.domains.pde.equation import LEVELS, TERMS, Equation, draw_equation, equation_reward
from codagent_train.environments.domains.pde.regression import fit_candidates, sparsest, supports_of
from codagent_train.environments.domains.pde.solver import Sample, draw_problem, solve, take_samples
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.packs import Pack

POINTS = ((0.2, 0.0), (0.35, 0.0), (0.5, 0.0), (0.65, 0.0), (0.8, 0.0), (0.5, 0.1))


def score_equation(found: Equation, truth: Equation) -> Score:
    """Score an equation; it passes when its terms are the true ones."""
    same = [name for name, _ in found.coefficients] == [name for name, _ in truth.coefficients]
    return Score(equation_reward(found, truth), same)


def _regress(*, carry: bool) -> PlayPack:
    def play(level: str, pack: Pack) -> list[Score]:
        count, scores, samples = len(pack.tasks), [], list[Sample]()
        problem = draw_problem(level, pack.seed, count)
        for position, task in enumerate(pack.tasks):
            solution = solve(level, pack.seed, count, pack.tasks.index(task))
            own = take_samples(solution, problem.equation, POINTS, Draws(task.seed + 1 + position))
            samples = [*samples, *own] if carry else own
            found = sparsest(fit_candidates(samples, supports_of(tuple(TERMS), LEVELS[level].most_terms)))
            scores.append(score_equation(found.equation, problem.equation))
        return scores

    return play


def _guess(level: str, pack: Pack) -> list[Score]:
    """Guess a template of the family and its coefficients."""
    truth, scores = draw_problem(level, pack.seed, len(pack.tasks)).equation, []
    for position, task in enumerate(pack.tasks):
        draws = Draws(task.seed + 1 + position)
        scores.append(score_equation(draw_equation(draws.choice(LEVELS[level].templates), draws), truth))
    return scores


PLAYERS: Mapping[str, PlayPack] = {
    "random": _guess,
    "scratch": _regress(carry=False),
    "carry": _regress(carry=True),
    "known": lambda _, pack: [Score(1.0, True) for _ in pack.tasks],
}
