"""Conventions for the trainer: the player says what calls of a function return in this house, and no code is run.

The same rules and functions are tasks for `codagent loop`, where the code is written.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from codagent.types import End, Outcome, Task
from codagent_train.environments.conventions.house import (
    Exercise,
    House,
    answer,
    describe_rules,
    draw_arguments,
    draw_exercises,
    draw_house,
)
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_answer, read_prompt
from codagent_train.environments.packs import Pack, Split, seed_of

LEVELS = ("easy",)
MALFORMED = -0.1
EXPECTED: dict[Wording, str] = {
    "terse": "one line for each call: the value as Python writes it, or raises NAME",
    "paper": "<answer>one line for each call</answer> once: the value as Python writes it, or raises NAME",
}


def make_conventions_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. A longer pack begins with the tasks of a shorter one."""
    exercises = draw_exercises(seed_of(split, f"conventions-{level}", number), tasks)

    def describe(seed: int, position: int) -> str:
        return describe_calls(exercises[position], draw_arguments(exercises[position], seed), wording)

    return name_tasks(f"conventions-{level}", split, number, tasks, describe)


def write_true_notes(pack: Pack) -> str:
    """Write true notes on all rules that the tasks of a pack want."""
    return describe_rules(draw_house(pack.seed), draw_exercises(pack.seed, len(pack.tasks)))


class ConventionsGame:
    """The tasks of a pack. Nothing is remembered from task to task."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:  # noqa: ARG002 - as of every domain
        self.rules = read_prompt(__package__, wording)
        self._wording, self._house = wording, draw_house(pack.seed)
        exercises = draw_exercises(pack.seed, len(pack.tasks))
        self._exercises = {task.id: exercise for task, exercise in zip(pack.tasks, exercises, strict=True)}

    def begin(self, task: Task) -> ConventionsAttempt:
        exercise = self._exercises[task.id]
        return ConventionsAttempt(self._house, exercise, draw_arguments(exercise, task.seed), self._wording)

    def forget(self) -> None:
        """Do nothing: there is nothing to forget."""


class ConventionsAttempt:
    """An DomainAttempt of one answer, with a line for each call."""

    def __init__(self, house: House, exercise: Exercise, calls: Sequence[tuple[Any, ...]], wording: Wording) -> None:
        self._exercise, self._calls, self._wording = exercise, calls, wording
        self._expected = [answer(house, exercise, arguments) for arguments in calls]
        self._answers: list[str] | None = None
        self._answered = False

    def observe(self) -> str:
        return describe_calls(self._exercise, self._calls, self._wording)

    def act(self, reply: str) -> End | None:
        self._answered = True
        text = reply if self._wording == "terse" else read_answer(reply) or ""
        lines = [line.strip() for line in text.strip().splitlines()][: len(self._calls)]
        self._answers = lines if len(lines) == len(self._calls) and all(map(has_value, lines)) else None
        return "finished"

    def describe_state(self) -> str:
        """Describe what was expected and what came, call by call."""
        got = self._answers or ["nothing"] * len(self._calls)
        rows = zip(self._calls, self._expected, got, strict=True)
        return "\n".join(f"{show_call(self._exercise, call)} expected {want} got {mine}" for call, want, mine in rows)

    def judge(self) -> Outcome:
        if self._answers is None:
            feedback = f"The answer has the wrong form. Expected: {EXPECTED[self._wording]}." if self._answered else "Broken off."
            return Outcome(MALFORMED if self._answered else 0.0, False, feedback, ("form",))
        right = [same_value(want, mine) for want, mine in zip(self._expected, self._answers, strict=True)]
        reward = 1.0 if all(right) else 0.5 * sum(right) / len(right)
        return Outcome(reward, all(right), self.describe_state(), () if all(right) else ("value",))


def describe_calls(exercise: Exercise, calls: Sequence[tuple[Any, ...]], wording: Wording) -> str:
    """Describe a task: the function, and the calls whose results are asked for."""
    shown = "\n".join(show_call(exercise, call) for call in calls)
    head = f"{exercise.name}({exercise.parameters}) returns {exercise.says}."
    return f"{head}\n{shown}" if wording == "terse" else f"{head}\n\nWhat do these calls return in this house?\n\n{shown}"


def show_call(exercise: Exercise, arguments: Sequence[Any]) -> str:
    return f"{exercise.name}({', '.join(map(repr, arguments))})"


def has_value(line: str) -> bool:
    """Return whether a line is a value of Python, or names an error."""
    if line.removeprefix("raises ").isidentifier() and line.startswith("raises "):
        return True
    try:
        ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
    return True


def same_value(expected: str, line: str) -> bool:
    """Return whether a line that has a value says the same as the expected one. Ways of writing a value do not count."""
    if expected.startswith("raises ") or line.startswith("raises "):
        return expected == line
    return bool(ast.literal_eval(expected) == ast.literal_eval(line))
