from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codagent.errors import UsageError
from codagent.sandbox.definition import Definition, definition, for_repository, names, sandboxes_dir


def test_the_shipped_definitions_have_every_protection() -> None:
    assert names() == ["base", "python"]
    assert [definition(name) for name in names()] == [Definition("base", "codagent/base"), Definition("python", "codagent/python")]
    assert definition("python").off == ()
    assert (sandboxes_dir() / "base" / "bootstrap").is_file()


def test_an_unknown_sandbox_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'python'"):
        definition("pyhton")


def test_a_repository_chooses_its_image_and_what_is_set_up_in_it() -> None:
    assert for_repository("python", {}) == definition("python")
    assert for_repository("python", {"image": "node:22"}) == replace(definition("python"), image="node:22")
    asked = for_repository("python", {"setup": "pip install -r r.txt", "files": ["r.txt"]})
    assert (asked.setup, asked.files) == ("pip install -r r.txt", ("r.txt",))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"set_up": "x"}, "did you mean 'setup'"),
        ({"off": ["network"]}, "unknown name 'off'"),
        ({"memory_mb": 1_000_000}, "unknown name 'memory_mb'"),
        ({"user": "0:0"}, "unknown name 'user'"),
        ({"image": "a", "dockerfile": "b"}, "exclude each other"),
        ({"setup": ["a"]}, "must be a text"),
        ({"files": "a"}, "must be a list"),
    ],
)
def test_a_repository_cannot_choose_anything_else(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        for_repository("python", table)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"user": "0:1000"}, "root"), ({"workspace_mb": 2000}, "live in memory"), ({"off": ("netwrok",)}, "did you mean 'network'")],
)
def test_a_definition_that_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(definition("python"), **change)
