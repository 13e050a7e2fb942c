"""Packs of the domain `conventions` as task files for `codagent loop`: the functions are written, and checks say what they return.

What the checks expect is packed in a file that a reader of the repository does not see through at a glance. An agent that unpacks it learns
the rules without an attempt.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from codagent.files import temporary_folder
from codagent_train.environments.conventions.house import (
    Exercise,
    House,
    answer,
    describe_rules,
    draw_arguments,
    draw_exercises,
    draw_house,
)
from codagent_train.environments.packs import Split, seed_of
from codagent_train.files import make_writable, require_empty
from codagent_train.tasks.start import copy_repository
from codagent_train.tasks.task_files import quote

TASKS = 4  # in a pack
_NAME = "conventions-code"
_ANSWERS = '''\
"""What the house expects."""

import base64
import json
import zlib

_EXPECTED = json.loads(zlib.decompress(base64.b64decode({packed!r})))


def expected(name, number):
    return _EXPECTED[name][number]


def result_of(function, arguments):
    """What a call returns, as Python writes it, or which error it raises."""
    try:
        return repr(function(*arguments))
    except Exception as error:
        return f"raises {{type(error).__name__}}"
'''
_TEST = """\
from house.{name} import {name}
from tests.answers import expected, result_of

"""
_CASE = """
def test_call_{number}():
    assert result_of({name}, {arguments!r}) == expected({name!r}, {index})
"""


def make_house_tasks(out: Path, packs: int, *, split: Split = "test", seed: int = 0) -> list[Path]:
    """Write `packs` packs of four tasks into the folder `out`, and return their task files. Beside each file are true notes on its house.

    Raises UsageError when something is at `out`, or nothing can be.
    """
    out = require_empty(out)
    make_writable(out / "packs")
    return [_write_pack(out, f"house-{number + 1:04}", seed_of(split, _NAME, seed, number)) for number in range(packs)]


def write_house(folder: Path, house: House, exercises: Sequence[Exercise], seed: int) -> None:
    """Write the repository of a house: a function without a body and a file of tests for each exercise."""
    calls = {exercise.name: draw_arguments(exercise, seed) for exercise in exercises}
    results = {exercise.name: [answer(house, exercise, arguments) for arguments in calls[exercise.name]] for exercise in exercises}
    packed = base64.b64encode(zlib.compress(json.dumps(results).encode())).decode()
    files = {
        "house/__init__.py": '"""The functions of the house."""\n',
        "tests/__init__.py": "",
        "tests/answers.py": _ANSWERS.format(packed=packed),
    }
    for exercise in exercises:
        head = f'def {exercise.name}({exercise.parameters}):\n    """Return {exercise.says}."""\n'
        files[f"house/{exercise.name}.py"] = f"{head}    raise NotImplementedError\n"
        cases = (
            _CASE.format(name=exercise.name, number=index + 1, arguments=arguments, index=index)
            for index, arguments in enumerate(calls[exercise.name])
        )
        files[f"tests/test_{exercise.name}.py"] = _TEST.format(name=exercise.name) + "\n".join(cases)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def _write_pack(out: Path, name: str, seed: int) -> Path:
    house, exercises = draw_house(seed), draw_exercises(seed, TASKS)
    with temporary_folder() as folder:
        write_house(folder, house, exercises, seed)
        start = copy_repository(folder, out / "repositories" / name)
    template = resources.files(__package__).joinpath("prompts/house.md").read_text(encoding="utf-8").strip()
    lines = [f"repository = {quote(f'../repositories/{name}')}", f"start = {quote(start)}"]
    for number, exercise in enumerate(exercises, 1):
        path = f"house/{exercise.name}.py"
        text = template.format(name=exercise.name, path=path, parameters=exercise.parameters, says=exercise.says)
        check = f"python -m pytest -q tests/test_{exercise.name}.py"
        lines += [
            "",
            "[[task]]",
            f"id = {quote(f'{number}-{exercise.name}')}",
            f"checks = [{quote(check)}]",
            "fresh = true",
            f"instruction = {quote(text)}",
        ]
    file = out / "packs" / f"{name}.toml"
    file.with_suffix(".notes.md").write_text(describe_rules(house, exercises) + "\n", encoding="utf-8")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
