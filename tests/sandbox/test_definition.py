from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict, replace

from codagent.errors import UsageError
from codagent.sandbox.definition import Definition, list_sandboxes, load_definition, load_for_repository, sandboxes_dir
from codagent.settings.toml import parse_table


def test_the_shipped_definitions_have_every_protection() -> None:
    assert list_sandboxes() == ["base", "python"]
    assert [load_definition(name) for name in list_sandboxes()] == [
        Definition("base", "codagent/base"),
        Definition("python", "codagent/python"),
    ]
    assert load_definition("python").off == ()
    assert (sandboxes_dir() / "base" / "bootstrap").is_file()


def test_an_unknown_sandbox_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'python'"):
        load_definition("pyhton")
    with pytest.raises(UsageError, match=r'write in codagent.toml: \[sandbox\] image = "node:22"'):
        load_definition("node")


def test_a_repository_chooses_its_image_and_what_is_set_up_in_it() -> None:
    assert load_for_repository("python", {}) == load_definition("python")
    assert load_for_repository("python", {"image": "node:22"}) == replace(load_definition("python"), image="node:22")
    asked = load_for_repository("python", {"setup": "pip install -r r.txt", "files": ["r.txt"]})
    assert (asked.setup, asked.files) == ("pip install -r r.txt", ("r.txt",))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"set_up": "x"}, "did you mean 'setup'"),
        ({"off": ["network"]}, "unknown key 'off'"),
        ({"memory_mb": 1_000_000}, "unknown key 'memory_mb'"),
        ({"user": "0:0"}, "unknown key 'user'"),
        ({"image": "a", "dockerfile": "b"}, "exclude each other"),
        ({"setup": ["a"]}, "must be a text"),
        ({"setup": " "}, "must be a text that is not blank"),
        ({"files": "a"}, "must be a list"),
        ({"\ud800": "a"}, "a key is not valid Unicode"),
    ],
)
def test_a_repository_cannot_choose_anything_else(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_for_repository("python", table)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user": "0:1000"}, "root"),
        ({"workspace_mb": 2000}, "live in memory"),
        ({"off": ("netwrok",)}, "each one of network, .*netwrok"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_table(asdict(load_definition("python")) | change, Definition, where="sandbox.toml")
