"""The reaction terms of PDE discovery: a dictionary of 15 terms, families of templates, equations in words, and what one is worth.

The hidden equation is u_t = u_xx + f(u). Templates say which terms f has, and with which signs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codagent_train.environments.domains.shared.draws import Draws

# name: what it is, in words
TERMS = {
    "u": "u",
    "u2": "u^2",
    "u3": "u^3",
    "u4": "u^4",
    "u5": "u^5",
    "u7": "u^7",
    "sin": "sin(u)",
    "sin2": "sin(2u)",
    "exp": "exp(u) - 1",
    "log": "log(1 + u^2)",
    "tanh": "tanh(u)",
    "inh": "u/(1 + u^2)",
    "hill2": "u^2/(1 + u^2)",
    "hill4": "u^4/(1 + u^4)",
    "hald": "u/(1 + u + u^2)",
}
_TRAIN = """-u; -u3; -sin; -tanh; -hill2; u -u2; u -u3; u -u5; u2 -u4; sin -u3; exp -u2; log -u2; tanh -u2; tanh -u3; inh -u2; inh -u3;
hill2 -u; hill2 -u3; u3 -u5; -u tanh; -u hill4; -u hald; sin2 -u2; sin2 -u3; sin2 -u5; sin -u4; tanh -u4; inh -u4; hald -u2; hald -u3;
-sin2 -u2; -sin2 -u3; -sin2 -u5; -sin -u4; -sin -u3; -u inh; -u2 hill2; u3 -u7; u2 -u5; hill2 -u5"""
_EVAL = """u -u4; u2 -u3; sin -u5; exp -u3; log -u4; tanh -u5; inh -u5; hill2 -u4; u -u7; sin -sin2; hill2 -hill4; exp -u5; -exp sin;
u5 -u7; -tanh inh; u3 -u4; -log hill2; u u2 -u3; u tanh -u3; u -u3 -u5; sin -sin2 -u3;
u u3 -u7; hill2 hill4 -u5; exp tanh -u7; sin2 hill2 -u7"""
_TERM = re.compile(rf"\s*([+-]?)\s*(\d+(?:\.\d+)?)\s*\*?\s*({'|'.join(sorted(TERMS, key=len, reverse=True))})(?!\w)")


@dataclass(frozen=True, slots=True)
class PdeLevel:
    """A family of equations."""

    name: str
    templates: tuple[tuple[tuple[str, float], ...], ...]  # each a row of (term, sign)
    most_terms: int


def _family(text: str) -> tuple[tuple[tuple[str, float], ...], ...]:
    rows = (part.split() for part in text.replace("\n", " ").split(";"))
    return tuple(tuple((word.strip("-"), -1.0 if word[0] == "-" else 1.0) for word in row) for row in rows)


LEVELS = {"train": PdeLevel("train", _family(_TRAIN), 2), "eval": PdeLevel("eval", _family(_EVAL), 3)}


@dataclass(frozen=True, slots=True)
class Equation:
    """A reaction term: coefficients by the names of its terms, in the order of `TERMS`."""

    coefficients: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        parts = (f"{'-' if value < 0 else '+'} {abs(value):g}*{name}" for name, value in self.coefficients)
        return " ".join(parts).removeprefix("+ ").replace("- ", "-", 1 if self.coefficients[0][1] < 0 else 0)


def make_equation(coefficients: dict[str, float]) -> Equation:
    return Equation(tuple((name, coefficients[name]) for name in TERMS if name in coefficients))


def draw_equation(template: tuple[tuple[str, float], ...], draws: Draws) -> Equation:
    """Draw the size of each coefficient from [0.5, 2], with two decimals."""
    return make_equation({name: sign * round(draws.real(0.5, 2.0), 2) for name, sign in template})


def read_equation(text: str) -> Equation | None:
    """Read an equation such as `1.19*u - 0.79*u3`. None: it is not one, or has a term twice."""
    coefficients, place = dict[str, float](), 0
    while match := _TERM.match(text, place):
        sign, number, name = match.groups()
        if name in coefficients or (place and not sign):
            return None
        coefficients[name] = -float(number) if sign == "-" else float(number)
        place = match.end()
    return make_equation(coefficients) if coefficients and not text[place:].strip() else None


def equation_reward(found: Equation, truth: Equation) -> float:
    """Return the worth of an equation: less for wrong coefficients, in proportion, and less for each term too many."""
    guess, true = dict(found.coefficients), dict(truth.coefficients)
    wrong = sum(abs(guess.get(name, 0.0) - true.get(name, 0.0)) for name in {*guess, *true}) / sum(map(abs, true.values()))
    return 1.0 / (1.0 + wrong + max(0, len(guess) - len(true)))
