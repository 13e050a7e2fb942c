"""Read notes on FrozenLake-Obscure: which action moves in which direction, in all the forms in which models write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS

TELLING = 3  # so many right directions give the whole mapping: the fourth follows
_FAR = 60  # more characters between an action and a direction: they do not belong together

_NOISE = re.compile(
    r"\(\s*\d+\s*,\s*\d+\s*\)"  # the coordinates of a cell
    r"|\b(?:turn|step|row|column|task|attempt|reward)s?\s*(?:\d+(?:\s*(?:of|/)\s*\d+)?)"
    r"|\b\d+\s+(?:different\s+|possible\s+)?(?:direction|action|digit|code|turn|step|task|tr(?:y|ie)|attempt|row|column|cell)s?\b"
    r"|\d+\.\d+|\b\d+\s*(?:-|–|to|of)\s*\d+\b",  # noqa: RUF001
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^[\s>*-]*(\d+)[.)]\s+(.*)")
_ONLY_WAY = re.compile(rf"\W*(?:{'|'.join(DIRECTIONS)})\W*", re.IGNORECASE)
_WORD = re.compile(rf"(?<![\w.])(?P<code>[1-4])(?!\w|\.\d)|\b(?P<way>{'|'.join(DIRECTIONS)})(?:wards?)?\b", re.IGNORECASE)
_LISTED = re.compile(r"[\s,/&*`_\"']*(?:and|or)?[\s,*`_\"']*", re.IGNORECASE)
_DENIED = re.compile(r"\bnot\b|n't\b|\bnever\b|\bcannot\b|≠|!=|\bexcept\b", re.IGNORECASE)
_HIDDEN = re.compile(r"\bsecret|\bhidden|\bunknown|\border\b", re.IGNORECASE)
_END = re.compile(r";|[.!?](?=\s|$)")


@dataclass(frozen=True, slots=True)
class MappingAccuracy:
    """How many of the four directions are right in the notes, and how many are wrong. Notes may leave out the others."""

    right: int
    wrong: int

    @property
    def is_complete(self) -> bool:
        """Whether the notes give the true mapping: three right directions, from which the fourth follows, and none wrong."""
        return self.right >= TELLING and not self.wrong


def score_notes(notes: str, directions: tuple[int, ...]) -> MappingAccuracy:
    """Compare notes with the mapping `directions`. An action that the notes give two directions counts as wrong."""
    statements = stated_directions(notes)
    right = sum(statements.get(code) == {directions[code - 1]} for code in CODES)
    return MappingAccuracy(right, len(statements) - right)


def stated_directions(notes: str) -> dict[int, set[int]]:
    """Return the directions that notes state for each action, as indices into `DIRECTIONS`. Actions without a statement are left out.

    "1 = down", "Direction 1 moves the player down", "down: 1", "1, 2 are down and left" and the like are statements. What is denied, or
    left open ("1 is up or left"), is none.
    """
    statements: dict[int, set[int]] = {}
    for clause in _clauses(notes):
        for code, way in _pairs(clause):
            statements.setdefault(code, set()).add(way)
    return statements


def _clauses(notes: str) -> Iterator[str]:
    """Split notes into clauses and remove numbers that are not actions.

    The number of a list item is an action only when the item is nothing but a direction ("1. down").
    """
    for line in notes.splitlines():
        numbered = _NUMBERED.match(line)
        if numbered and _ONLY_WAY.fullmatch(numbered[2]):
            yield f"{numbered[1]}: {numbered[2]}"
        else:
            yield from (_NOISE.sub(" ", clause) for clause in _END.split(numbered[2] if numbered else line))


class _Run(NamedTuple):
    """Actions, or directions, that are listed one after the other."""

    kind: str
    values: list[int]
    start: int
    end: int


def _pairs(clause: str) -> list[tuple[int, int]]:
    """Return (action, direction) pairs of a clause. Which of the two the clause names first, it names first in each pair."""
    runs = _runs(clause)
    pairs: list[tuple[int, int]] = []
    index = 0
    while index + 1 < len(runs):
        run, next_run = runs[index], runs[index + 1]
        between = clause[run.end : next_run.start]
        index += 1
        if run.kind != runs[0].kind or len(run.values) != len(next_run.values) or len(between) > _FAR or _DENIED.search(between):
            continue
        if len(run.values) > 1 and _HIDDEN.search(clause):
            continue
        codes, ways = (run.values, next_run.values) if run.kind == "code" else (next_run.values, run.values)
        pairs += zip(codes, ways, strict=True)
        index += 1
    return pairs


def _runs(clause: str) -> list[_Run]:
    runs: list[_Run] = []
    for word in _WORD.finditer(clause):
        kind = word.lastgroup or ""
        value = int(word["code"]) if kind == "code" else DIRECTIONS.index(word["way"].lower())
        last = runs[-1] if runs else None
        if last and last.kind == kind and _LISTED.fullmatch(clause[last.end : word.start()]):
            runs[-1] = _Run(kind, [*last.values, value], last.start, word.end())
        else:
            runs.append(_Run(kind, [value], word.start(), word.end()))
    return runs
