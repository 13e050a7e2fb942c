"""The actions of PDE discovery, as they stand in an answer: one XML element with the arguments in it. No XML parser is used."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codagent_train.environments.domains.pde.equation import TERMS
from codagent_train.environments.domains.pde.regression import THRESHOLD
from codagent_train.environments.domains.pde.solver import Point

ACTIONS = ("sample_pde_data", "summarize_pack_evidence", "run_sparse_regression", "update_scientific_context")
MOST_EQUATIONS, MOST_UNCERTAIN = 8, 4
_ELEMENT = re.compile(r"\s*<(\w+)>(.*)</\1>\s*", re.DOTALL)
_CHILD = re.compile(r"\s*<(\w+)>(.*?)</\1>\s*", re.DOTALL)
_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_POINT = re.compile(rf"{_NUMBER},{_NUMBER}")


class WrongArguments(ValueError):
    """The arguments of an action are not usable. The message says why; the action costs a turn."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action with the texts of its arguments; an element without children has its text under ""."""

    name: str
    arguments: dict[str, str]


def read_action(answer: str | None) -> Action | None:
    """Read the action in an answer. None: it is not one known element with its arguments."""
    match = _ELEMENT.fullmatch(answer) if answer else None
    if not match or match[1] not in ACTIONS:
        return None
    body, arguments, place = match[2], dict[str, str](), 0
    while child := _CHILD.match(body, place):
        if child[1] in arguments:
            return None
        arguments[child[1]] = child[2].strip()
        place = child.end()
    rest = body[place:].strip()
    if (arguments and rest) or "<" in rest:
        return None
    return Action(match[1], arguments or {"": rest})


def read_points(action: Action, left: int) -> list[Point]:
    """Read the points to sample: `x,t; x,t; …`, no more than are left. Raises WrongArguments."""
    parts = [part for part in _argument(action, "points").split(";") if part.strip()]
    matches = [_POINT.fullmatch(part) for part in parts]
    points = [(float(match[1]), float(match[2])) for match in matches if match]
    if not points or len(points) < len(parts):
        raise WrongArguments("points must be numbers x,t; x,t")
    if len(points) > left:
        raise WrongArguments(f"{len(points)} points are more than the {left} that are left")
    if not all(0 < x < 1 and 0 <= t <= 1 for x, t in points):
        raise WrongArguments("a point must have 0 < x < 1 and 0 <= t <= 1")
    return points


def read_terms(action: Action) -> tuple[str, ...] | None:
    """Read the terms that a regression may use, in the order of the dictionary. None: all. Raises WrongArguments."""
    words = [word.strip() for word in action.arguments.get("terms", "").split(",") if word.strip()]
    if unknown := [word for word in words if word not in TERMS]:
        raise WrongArguments(f"there is no term {unknown[0][:20]!r}; the terms are {', '.join(TERMS)}")
    return tuple(name for name in TERMS if name in words) or None


def read_threshold(action: Action) -> float:
    text = action.arguments.get("threshold", str(THRESHOLD))
    if not re.fullmatch(r"\d*\.?\d+", text) or float(text) > 1:
        raise WrongArguments("threshold must be a number from 0 to 1")
    return float(text)


def _argument(action: Action, name: str) -> str:
    """Return an argument that may also be the whole text of the element."""
    return action.arguments.get(name, action.arguments.get("", ""))
