"""FrozenLake-Obscure: cross a lake with four actions whose directions are hidden, the same for all tasks of a pack.

After arXiv 2606.20002; `PAPER` words a lake much as it does, `TERSE` in few tokens, `BRIEF` in fewer, without a map: where the goal
lies, and where no ice; there an answer also says the direction that it hopes for. Different here: packs have stable seeds, those of
training and of tests never meet, and the account has the state after the last action, so that what a fatal step did can be noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from codagent.types import Message, Observation, Outcome, Task, Tool
from codagent_train.environments.lakes import DIRECTIONS, Lake, Level, Moment, Verdict, lake, mapping, moved, played, shaped, verdict
from codagent_train.environments.packs import Pack, Split, seed_of
from codagent_train.prompts import rules

Verdicts = Mapping[Verdict | Literal["form"] | None, str]
FEEDBACK: Verdicts = {
    "goal": "Success: the goal was reached in {turn} of {turns} turns.",
    "hole": "Failed: the player fell into a hole in turn {turn} of {turns}. Plan a safe path before the first step.",
    "turns": "Failed: {turn} of {turns} turns are used up and the goal is not reached. Look for a shorter path.",
    "form": "Failed: the answer in turn {next} of {turns} has the wrong form. Expected: {form}.",
    None: "Failed: broken off after {turn} of {turns} turns.",
}
_IN_A_WORD: Verdicts = {"goal": "goal", "hole": "hole", "turns": "no turns left", "form": "not {form}", None: "broken off"}
_ACTION = re.compile(r"<answer>\s*[dD]irection\s+([1-4])(?!\d).*</answer>", re.DOTALL)
_DIGIT = re.compile(r"\s*([1-4])(?!\d)")
_TOLD = re.compile(rf"\s*(?:{'|'.join(DIRECTIONS)}|try) ([1-4])(?!\d)")


@dataclass(frozen=True, slots=True)
class Form:
    """How lakes are put into words: which file has the `rules`, what is `asked` for, what the `task` is, which action an `answer` is, if it
    is one, how an action is `said`, with the direction that it is hoped to take, if any, and what is said at the end."""

    rules: str
    asked: str
    task: Callable[[Lake], str]
    state: Callable[[Moment], str]
    answer: Callable[[str], int | None]
    said: Callable[[int, str | None], str]
    feedback: Verdicts = field(default_factory=lambda: FEEDBACK)


class FrozenLake:
    """An Environment for the tasks of one pack. `tokens` is how long the rules tell the model to keep an answer."""

    tools: tuple[Tool, ...] = ()

    def __init__(self, level: Level, pack_seed: int, form: Form, *, tokens: int = 1000) -> None:
        self._level, self._form, self._mapping = level, form, mapping(pack_seed)
        self._rules = rules(form.rules).replace("{tokens}", str(tokens))
        self._over: Verdict | Literal["form"] | None = None

    @property
    def form(self) -> Form:
        return self._form

    @property
    def moment(self) -> Moment:
        """Where play stands. Not for the policy: the lake as it is."""
        return self._moment

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        here = lake(self._level, task.seed)
        self._moment, self._over = Moment(here, here.start), None
        text = self._rules.replace("{notes}", notes or "(none yet)")
        return Message("system", text), Message("user", self._form.state(self._moment))

    def step(self, message: Message) -> Observation:
        code = self._form.answer(message.content)
        if code is None:
            self._over = "form"
            return Observation((), "finished")
        self._moment = played(self._moment, code, self._mapping)
        self._over = verdict(self._moment)
        if self._over:
            return Observation((), "steps" if self._over == "turns" else "finished")
        return Observation((Message("user", self._form.state(self._moment)),))

    def grade(self) -> Outcome:
        turn, turns, passed = self._moment.turn, self._moment.lake.turns, self._over == "goal"
        feedback = self._form.feedback[self._over].format(turn=turn, next=turn + 1, turns=turns, form=self._form.asked)
        return Outcome(shaped(turn, turns) if passed else 0.0, passed, feedback, () if passed else ("goal",))

    def keep(self, outcome: Outcome | None) -> None:
        """Nothing of a lake lasts."""

    def account(self) -> str:
        return self._form.state(self._moment)


def _map(lake: Lake) -> str:
    return "\n".join(["Cross the lake from P to G; O is a hole.", *_rows(lake, lake.start, " ")])


def _untold(lake: Lake) -> str:
    """What there is to do is the same in all tasks, and the rules have it."""
    del lake
    return ""


def _paper_state(moment: Moment) -> str:
    over = verdict(moment)
    lines = [] if over else [f"Step {moment.turn + 1}/{moment.lake.turns}"]
    if moment.code:
        lines.append(_paper_move(moment))
    lines += [f" {row} \t" for row in _rows(moment.lake, moment.position, " \t ")]
    goal = f"The goal is at {_place(moment.lake, moment.lake.goal)}; rows and columns count from 0."
    return "\n".join([*lines, goal if over else f"{goal} What is your next action?"])


def _paper_move(moment: Moment) -> str:
    before, after = _place(moment.lake, moment.before), _place(moment.lake, moment.position)
    if before == after:
        return f"Direction {moment.code} was taken and the player is still at {after}, perhaps because of the edge."
    into = ", into a hole" if moment.position in moment.lake.holes else ""
    return f"Direction {moment.code} was taken and moved the player from {before} to {after}{into}."


def _paper_answer(text: str) -> int | None:
    """One pair of tags, the action at the beginning of what they hold."""
    found = _ACTION.search(text) if text.count("<answer>") == text.count("</answer>") == 1 else None
    return int(found[1]) if found else None


def _terse_state(moment: Moment) -> str:
    lake, here = moment.lake, moment.position
    lines = [f"turn {moment.turn + 1} of {lake.turns}"] if verdict(moment) is None else []
    if moment.code:
        lines.append(_terse_move(moment))
    lines += _rows(lake, here, " ")
    if here not in lake.holes:
        lines.append(_around(lake, here))
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def _around(lake: Lake, here: int) -> str:
    return f"P {_place(lake, here)} G {_place(lake, lake.goal)}: {_near(lake, here)}"


@lru_cache(maxsize=4096)
def _near(lake: Lake, here: int) -> str:
    return ", ".join(f"{name} {_ground(lake, here, moved(lake.side, here, way))}" for way, name in enumerate(DIRECTIONS))


def _terse_move(moment: Moment) -> str:
    if moment.position == moment.before:
        return f"{moment.code} hit the edge"
    went = next(name for way, name in enumerate(DIRECTIONS) if moved(moment.lake.side, moment.before, way) == moment.position)
    return f"{moment.code} went {went}{' into a hole' if moment.position in moment.lake.holes else ''}"


def _brief_state(moment: Moment) -> str:
    lake, here = moment.lake, moment.position
    parts = [_terse_move(moment)] if moment.code else []
    if verdict(moment) is None:
        parts = [f"{moment.turn + 1}/{lake.turns}", *parts, _bearing(lake, here), *_hazards(lake, here)]
    return "; ".join(parts)


@lru_cache(maxsize=4096)
def _bearing(lake: Lake, here: int) -> str:
    """Where the goal lies."""
    rows, columns = lake.goal // lake.side - here // lake.side, lake.goal % lake.side - here % lake.side
    ways = [(rows, "down" if rows > 0 else "up"), (columns, "right" if columns > 0 else "left")]
    return "goal " + " ".join(f"{way} {abs(cells)}" for cells, way in ways if cells)


@lru_cache(maxsize=4096)
def _hazards(lake: Lake, here: int) -> tuple[str, ...]:
    """In which directions there is no ice."""
    near = {name: _ground(lake, here, moved(lake.side, here, way)) for way, name in enumerate(DIRECTIONS)}
    found = {what: " ".join(name for name, ground in near.items() if ground == what) for what in ("hole", "edge")}
    return tuple(f"{what} {names}" for what, names in found.items() if names)


def _terse_answer(text: str) -> int | None:
    """A digit at the beginning."""
    found = _DIGIT.match(text)
    return int(found[1]) if found else None


def _brief_answer(text: str) -> int | None:
    """A digit after the direction that is hoped for."""
    found = _TOLD.match(text)
    return int(found[1]) if found else None


@lru_cache(maxsize=4096)
def _rows(lake: Lake, position: int, between: str) -> tuple[str, ...]:
    cells = ["_"] * (lake.side * lake.side)
    for hole in lake.holes:
        cells[hole] = "O"
    cells[lake.goal], cells[position] = "G", "P"
    return tuple(between.join(cells[first : first + lake.side]) for first in range(0, len(cells), lake.side))


def _place(lake: Lake, cell: int) -> str:
    return f"({cell // lake.side}, {cell % lake.side})"


def _ground(lake: Lake, here: int, near: int) -> str:
    """What lies one step away; where that leads nowhere, the edge."""
    if near == here:
        return "edge"
    return "hole" if near in lake.holes else "goal" if near == lake.goal else "ice"


PAPER = Form(
    "frozenlake",
    "<answer>Direction k</answer> once, k from 1 to 4",
    _map,
    _paper_state,
    _paper_answer,
    lambda code, _: f"<answer>Direction {code}</answer>",
)
TERSE = Form("frozenlake-terse", "a digit from 1 to 4", _map, _terse_state, _terse_answer, lambda code, _: str(code))
BRIEF = Form(
    "frozenlake-brief",
    "way digit, or: try digit",
    _untold,
    _brief_state,
    _brief_answer,
    lambda code, way: f"{way or 'try'} {code}",
    _IN_A_WORD,
)


def pack(level: Level, split: Split, seed: int, *, tasks: int = 4, form: Form = TERSE) -> Pack:
    """Pack number `seed` of a split; a longer one begins with the same tasks, and the form changes only how they are told."""
    name = f"frozenlake-{level.name}"
    seeds = [seed_of(split, name, seed, position) for position in range(tasks)]
    return Pack(seed_of(split, name, seed), tuple(Task(f"{name}-{one}", form.task(lake(level, one)), seed=one) for one in seeds))
