"""Which tasks are held out."""

import pytest

from codagent_train.tasks.split import split_tasks
from codagent_train.tasks.task_files import MadeTask


def task(repository, path, function):
    return MadeTask(f"{repository}-{path}-{function}", "train", repository, "start", "pytest", path, function, "drop", {})


TWO_REPOSITORIES = [task("one", "a.py", "f"), task("one", "b.py", "f"), task("two", "a.py", "f")]
MODULES = [task("one", f"{name}.py", function) for name in "abcdefgh" for function in "fg"]
ONE_MODULE = [task("one", "a.py", function) for function in ("f", "f", "g", "h", "i", "j")]


@pytest.mark.parametrize(
    ("tasks", "by", "place", "held_out"),
    [
        (TWO_REPOSITORIES, "auto", "repository", 1),
        (TWO_REPOSITORIES, "repository", "repository", 1),
        (MODULES, "auto", "path", 2),
        (MODULES, "module", "path", 2),
        (ONE_MODULE, "auto", "function", 1),
        (ONE_MODULE, "module", "function", 1),
        ([task("one", "a.py", "f"), task("one", "b.py", "f")], "auto", "path", 1),
    ],
)
def test_training_and_held_out_tasks_share_no_place(tasks, by, place, held_out):
    split = split_tasks(tasks, by, seed=3)
    parts = {part: {getattr(task, place) for task in split if task.part == part} for part in ("train", "held-out")}
    assert not parts["train"] & parts["held-out"]
    assert parts["train"]
    assert len(parts["held-out"]) == held_out
    assert [task.id for task in split] == [task.id for task in tasks]
    assert split == split_tasks(tasks, by, seed=3)


def test_modules_are_split_in_each_repository_when_asked_for():
    split = split_tasks(TWO_REPOSITORIES, "module", seed=0)
    assert sorted(task.part for task in split if task.repository == "one") == ["held-out", "train"]
    assert [task.part for task in split if task.repository == "two"] == ["train"]  # it has one task


@pytest.mark.parametrize(("tasks", "by"), [(ONE_MODULE[:2], "auto"), (ONE_MODULE, "repository")])
def test_what_has_one_place_only_is_for_training(tasks, by):
    assert {task.part for task in split_tasks(tasks, by, seed=0)} == {"train"}
