"""The texts of FrozenLake-Obscure, in four forms: rules, states, answers, and what is said at the end.

`PAPER` is close to arXiv 2606.20002. `TERSE` takes few tokens. `BRIEF` takes fewer: it has no map, but says where the goal, holes and
edges are; an answer also names the direction that the model hopes for. `WORDS` has a closed vocabulary (`words.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.rules import DIRECTIONS, Lake, Moment, Verdict, judge, move
from codagent_train.environments.vocabulary import NO_NOTES

Verdicts = Mapping[Verdict | Literal["form"] | None, str]
FEEDBACK: Verdicts = {
    "goal": "Success: the goal was reached in {turn} of {turns} turns.",
    "hole": "Failed: the player fell into a hole in turn {turn} of {turns}. Plan a safe path before the first step.",
    "turns": "Failed: {turn} of {turns} turns are used up and the goal is not reached. Look for a shorter path.",
    "form": "Failed: the answer in turn {next} of {turns} has the wrong form. Expected: {form}.",
    None: "Failed: broken off after {turn} of {turns} turns.",
}
_BRIEF_FEEDBACK: Verdicts = {"goal": "goal", "hole": "hole", "turns": "no turns left", "form": "not {form}", None: "broken off"}
_ACTION = re.compile(r"<answer>\s*[dD]irection\s+([1-4])(?!\d).*</answer>", re.DOTALL)
_DIGIT = re.compile(r"\s*([1-4])(?!\d)")
_DIRECTION_AND_DIGIT = re.compile(rf"\s*(?:{'|'.join(DIRECTIONS)}|try) ([1-4])(?!\d)")


@dataclass(frozen=True, slots=True)
class Form:
    """How a lake is put into words, and how an answer is read."""

    name: str  # of its files in prompts/: the rules, NAME_notes for the notes, NAME_rewrite for their rewrite
    expected: str  # the form of an answer, for people and for feedback
    describe_task: Callable[[Lake], str]
    describe_state: Callable[[Moment], str]
    parse_answer: Callable[[str], int | None]  # the action, 1 to 4; None when the answer has not the expected form
    render_action: Callable[[int, str | None], str]  # the answer for an action and the hoped-for direction; None: no direction is hoped for
    feedback: Verdicts = field(default_factory=lambda: FEEDBACK)
    no_notes: str = "(none yet)"  # in place of notes at the first task


@cache
def read_prompt(name: str) -> str:
    """Return the text of `prompts/NAME.md`."""
    return resources.files(__package__).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


def _describe_map(lake: Lake) -> str:
    return "\n".join(["Cross the lake from P to G; O is a hole.", *_rows(lake, lake.start, " ")])


def _no_description(lake: Lake) -> str:
    """Return "": in this form the rules say what to do, and it is the same in all tasks."""
    del lake
    return ""


def _paper_state(moment: Moment) -> str:
    over = judge(moment)
    lines = [] if over else [f"Step {moment.turn + 1}/{moment.lake.turns}"]
    if moment.code:
        lines.append(_paper_move(moment))
    lines += [f" {row} \t" for row in _rows(moment.lake, moment.position, " \t ")]
    goal = f"The goal is at {_coordinates(moment.lake, moment.lake.goal)}; rows and columns count from 0."
    return "\n".join([*lines, goal if over else f"{goal} What is your next action?"])


def _paper_move(moment: Moment) -> str:
    before, after = _coordinates(moment.lake, moment.before), _coordinates(moment.lake, moment.position)
    if before == after:
        return f"Direction {moment.code} was taken and the player is still at {after}, perhaps because of the edge."
    into = ", into a hole" if moment.position in moment.lake.holes else ""
    return f"Direction {moment.code} was taken and moved the player from {before} to {after}{into}."


def _paper_answer(text: str) -> int | None:
    """Read an action from the only pair of answer tags. The action must come first between them."""
    match = _ACTION.search(text) if text.count("<answer>") == text.count("</answer>") == 1 else None
    return int(match[1]) if match else None


def _terse_state(moment: Moment) -> str:
    lake, position = moment.lake, moment.position
    lines = [f"turn {moment.turn + 1} of {lake.turns}"] if judge(moment) is None else []
    if moment.code:
        lines.append(_terse_move(moment))
    lines += _rows(lake, position, " ")
    if position not in lake.holes:
        lines.append(_around(lake, position))
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def _around(lake: Lake, cell: int) -> str:
    return f"P {_coordinates(lake, cell)} G {_coordinates(lake, lake.goal)}: {_neighbours(lake, cell)}"


@lru_cache(maxsize=4096)
def _neighbours(lake: Lake, cell: int) -> str:
    return ", ".join(f"{name} {_ground(lake, cell, move(lake.side, cell, direction))}" for direction, name in enumerate(DIRECTIONS))


def _terse_move(moment: Moment) -> str:
    if moment.position == moment.before:
        return f"{moment.code} hit the edge"
    went = next(name for way, name in enumerate(DIRECTIONS) if move(moment.lake.side, moment.before, way) == moment.position)
    return f"{moment.code} went {went}{' into a hole' if moment.position in moment.lake.holes else ''}"


def _brief_state(moment: Moment) -> str:
    lake, position = moment.lake, moment.position
    parts = [_terse_move(moment)] if moment.code else []
    if judge(moment) is None:
        parts = [f"{moment.turn + 1}/{lake.turns}", *parts, _bearing(lake, position), *_hazards(lake, position)]
    return "; ".join(parts)


@lru_cache(maxsize=4096)
def _bearing(lake: Lake, cell: int) -> str:
    """Describe where the goal is, seen from a cell."""
    rows, columns = lake.goal // lake.side - cell // lake.side, lake.goal % lake.side - cell % lake.side
    ways = [(rows, "down" if rows > 0 else "up"), (columns, "right" if columns > 0 else "left")]
    return "goal " + " ".join(f"{way} {abs(cells)}" for cells, way in ways if cells)


@lru_cache(maxsize=4096)
def _hazards(lake: Lake, cell: int) -> tuple[str, ...]:
    """Describe in which directions of a cell there are holes and edges."""
    grounds = {name: _ground(lake, cell, move(lake.side, cell, way)) for way, name in enumerate(DIRECTIONS)}
    hazards = {hazard: " ".join(name for name, ground in grounds.items() if ground == hazard) for hazard in ("hole", "edge")}
    return tuple(f"{hazard} {names}" for hazard, names in hazards.items() if names)


def _terse_answer(text: str) -> int | None:
    """Read an action from a digit at the beginning."""
    match = _DIGIT.match(text)
    return int(match[1]) if match else None


def _brief_answer(text: str) -> int | None:
    """Read an action from a digit at the beginning, after the direction that the model hopes for."""
    match = _DIRECTION_AND_DIGIT.match(text)
    return int(match[1]) if match else None


@lru_cache(maxsize=4096)
def _rows(lake: Lake, position: int, between: str) -> tuple[str, ...]:
    cells = ["_"] * (lake.side * lake.side)
    for hole in lake.holes:
        cells[hole] = "O"
    cells[lake.goal], cells[position] = "G", "P"
    return tuple(between.join(cells[first : first + lake.side]) for first in range(0, len(cells), lake.side))


def _coordinates(lake: Lake, cell: int) -> str:
    return f"({cell // lake.side}, {cell % lake.side})"


def _ground(lake: Lake, cell: int, near: int) -> str:
    """Return what is one step away: an edge when the step leads to the same cell."""
    if near == cell:
        return "edge"
    return "hole" if near in lake.holes else "goal" if near == lake.goal else "ice"


PAPER = Form(
    "paper",
    "<answer>Direction k</answer> once, k from 1 to 4",
    _describe_map,
    _paper_state,
    _paper_answer,
    lambda code, _: f"<answer>Direction {code}</answer>",
    no_notes="null",
)
TERSE = Form("terse", "a digit from 1 to 4", _describe_map, _terse_state, _terse_answer, lambda code, _: str(code))
BRIEF = Form(
    "brief",
    "way digit, or: try digit",
    _no_description,
    _brief_state,
    _brief_answer,
    lambda code, way: f"{way or 'try'} {code}",
    _BRIEF_FEEDBACK,
)
WORDS = Form(
    "words",
    "one of " + ", ".join(words.ACTIONS),
    _no_description,
    words.describe_state,
    words.parse_answer,
    words.render_action,
    words.ENDINGS,
    no_notes=NO_NOTES,
)
