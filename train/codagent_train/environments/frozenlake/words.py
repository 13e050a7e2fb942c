"""FrozenLake-Obscure in 369 words, for a small model that is trained from random weights.

A turn is three words, of which each is one token: what came of the last action, where the goal is, and what is around the player. There is
no map, and none is needed to play well: the player moves toward the goal and around the holes that it sees. Notes are four words,
the same words in which the turns are told, so that writing notes is quoting, and reading them is like reading the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Literal

from codagent.types import Episode, Message
from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS, Lake, Moment, Verdict, judge, move
from codagent_train.environments.vocabulary import NOTES, NOTHING, WRITE, Vocabulary

_FAR = 4  # a goal that is farther away is told as this far
_GROUNDS = ".O#G"  # ice, a hole, the edge, the goal

ACTIONS = tuple(f"go-{code}" for code in CODES)
RESULTS = tuple(f"{code}>{way}" for code in CODES for way in DIRECTIONS)
EDGES = tuple(f"{code}>edge" for code in CODES)
BEARINGS = tuple(f"r{row}c{column}" for row in range(-_FAR, _FAR + 1) for column in range(-_FAR, _FAR + 1))
SURROUNDINGS = tuple(f"[{''.join(grounds)}]" for grounds in product(_GROUNDS, repeat=len(DIRECTIONS)))
START = "@start"
ENDINGS: Mapping[Verdict | Literal["form"] | None, str] = {
    "goal": "@goal",
    "hole": "@hole",
    "turns": "@turns",
    "form": "@form",
    None: "@turns",
}

NOTABLE = dict.fromkeys((*RESULTS, *EDGES, NOTHING, *BEARINGS, *SURROUNDINGS))  # the words that may stand in notes
VOCABULARY = Vocabulary(ACTIONS, tuple(NOTABLE), (NOTES, START, WRITE, *dict.fromkeys(ENDINGS.values())))
_CODES = {word: code for code, word in zip(CODES, ACTIONS, strict=True)}


def describe_state(moment: Moment) -> str:
    """Return the words of a turn; after the end of play only what came of the last action."""
    result = _result(moment) if moment.code else START
    return result if judge(moment) else f"{result} {_view(moment.lake, moment.position)}"


def parse_answer(text: str) -> int | None:
    """Read an action: the only word of an answer."""
    return _CODES.get(text)


def render_action(code: int, _: str | None) -> str:
    """Return the word of an action."""
    return ACTIONS[code - 1]


def ask_for_notes(attempt: Episode, state: str, feedback: str) -> tuple[Message, ...]:
    """Return the request for notes: the attempt as it was played, and how it ended. So nothing of it has to be read twice."""
    turns = [message for step in attempt.steps for message in (step.reply.message, *step.observation.messages)]
    return (*attempt.prompt, *turns, Message("user", f"{state} {feedback} {WRITE}"))


def _result(moment: Moment) -> str:
    return f"{moment.code}>{_way(moment.lake.side, moment.before, moment.position)}"


@lru_cache(maxsize=1024)
def _way(side: int, before: int, after: int) -> str:
    if after == before:
        return "edge"
    return next(way for number, way in enumerate(DIRECTIONS) if move(side, before, number) == after)


@lru_cache(maxsize=8192)
def _view(lake: Lake, cell: int) -> str:
    rows, columns = lake.goal // lake.side - cell // lake.side, lake.goal % lake.side - cell % lake.side
    near = [move(lake.side, cell, direction) for direction in range(len(DIRECTIONS))]
    grounds = ("#" if other == cell else "O" if other in lake.holes else "G" if other == lake.goal else "." for other in near)
    return f"r{_clip(rows)}c{_clip(columns)} [{''.join(grounds)}]"


def _clip(distance: int) -> int:
    return max(-_FAR, min(_FAR, distance))
