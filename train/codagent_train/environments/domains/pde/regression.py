"""Sparse regression: all equations of few terms, fitted to samples and ranked by their largest error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from codagent_train.environments.domains.pde.equation import TERMS, Equation, make_equation
from codagent_train.environments.domains.pde.solver import Sample, evaluate_term

_RIDGE = 1e-8
THRESHOLD = 0.05  # smaller coefficients are dropped, and the others are fitted again


@dataclass(frozen=True, slots=True)
class Candidate:
    """An equation that was fitted."""

    equation: Equation
    error: float  # the largest absolute error over all samples
    errors: tuple[float, ...]  # of each sample

    @property
    def support(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.equation.coefficients)


def supports_of(terms: Sequence[str], most: int) -> Iterable[tuple[str, ...]]:
    """Return all choices of 1 to `most` terms."""
    return (support for size in range(1, most + 1) for support in combinations(terms, size))


def fit_candidates(samples: Sequence[Sample], supports: Iterable[tuple[str, ...]], *, threshold: float = THRESHOLD) -> list[Candidate]:
    """Fit an equation to the samples for each support, and return them from the smallest error on.

    A support that loses all its terms is left out. Coefficients have at most three decimals and three significant digits.
    """
    import numpy as np

    u, y = (np.array(values) for values in zip(*samples, strict=True))
    columns = {name: evaluate_term(name, u) for name in TERMS}
    found: dict[tuple[str, ...], Candidate] = {}
    for full in supports:
        support, values = _fit(columns, y, full, threshold)
        if support and support not in found:
            coefficients = {name: float(f"{value:.3g}") for name, value in zip(support, np.round(values, 3), strict=True)}
            errors = np.abs(y - sum(value * columns[name] for name, value in coefficients.items()))
            found[support] = Candidate(make_equation(coefficients), float(errors.max()), tuple(map(float, errors)))
    return sorted(found.values(), key=lambda candidate: candidate.error)


def sparsest(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the fewest terms among those whose error is nearly the smallest."""
    bound = max(0.02, 1.5 * candidates[0].error)
    return min(
        (candidate for candidate in candidates if candidate.error <= bound), key=lambda candidate: (len(candidate.support), candidate.error)
    )


def condition(samples: Sequence[Sample], terms: Sequence[str]) -> float:
    """Return the condition number of the values of these terms at the samples."""
    import numpy as np

    u = np.array([sample[0] for sample in samples])
    return float(np.linalg.cond(np.array([evaluate_term(name, u) for name in terms]).T))


def _fit(columns: dict[str, Any], y: Any, support: tuple[str, ...], threshold: float) -> tuple[tuple[str, ...], Any]:
    """Fit by least squares, drop small coefficients, and fit again until none is small."""
    import numpy as np

    values: Any = ()
    while support:
        matrix = np.array([columns[name] for name in support])
        values = np.linalg.solve(matrix @ matrix.T + _RIDGE * np.eye(len(support)), matrix @ y)
        large = np.abs(values) >= threshold
        if large.all():
            break
        support = tuple(name for name, keep in zip(support, large, strict=True) if keep)
    return support, values
