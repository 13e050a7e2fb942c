"""Decides which tasks are for training and which are held out. The two share no place: no repository, else no module, else no function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from random import Random
from typing import Literal

from codagent_train.tasks.task_files import MadeTask

SplitBy = Literal["auto", "repository", "module"]
_ONE_REPOSITORY_IN, _ONE_PLACE_IN = 3, 4  # is held out


def split_tasks(tasks: Sequence[MadeTask], by: SplitBy, seed: int) -> list[MadeTask]:
    """Return the tasks, each with its part. The tasks of a repository have to stand together.

    "auto": by repository when several have tasks, else by module. A repository whose tasks are all in one module is split by function. What
    has one place only is for training.
    """
    by_repository = [list(group) for _, group in groupby(tasks, lambda task: task.repository)]
    if by == "repository" or (by == "auto" and len(by_repository) > 1):
        return _hold_out(tasks, lambda task: task.repository, _ONE_REPOSITORY_IN, seed)
    return [task for group in by_repository for task in _split_repository(group, seed)]


def _split_repository(tasks: Sequence[MadeTask], seed: int) -> list[MadeTask]:
    if len({task.path for task in tasks}) > 1:
        return _hold_out(tasks, lambda task: task.path, _ONE_PLACE_IN, seed)
    return _hold_out(tasks, lambda task: task.function, _ONE_PLACE_IN, seed)


def _hold_out(tasks: Sequence[MadeTask], place: Callable[[MadeTask], str], one_in: int, seed: int) -> list[MadeTask]:
    """Hold out the tasks of some places: one of `one_in`, and at least one where there are two."""
    places = sorted({place(task) for task in tasks})
    Random(seed).shuffle(places)  # noqa: S311 - no secret
    held_out = places[: max(1, len(places) // one_in) if len(places) > 1 else 0]
    return [replace(task, part="held-out" if place(task) in held_out else "train") for task in tasks]
