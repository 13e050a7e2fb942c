"""The memory of what a user has allowed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.repository.setups import NOTHING_ALLOWED, AllowedSetups, allowed_file
from codagent.sandbox.images.setup import Setup

ONE, OTHER = Setup(script="one"), Setup(script="other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "allowed.json"


def test_what_was_allowed_is_held_and_nothing_else(file: Path) -> None:
    assert not AllowedSetups(file).holds(ONE)
    AllowedSetups(file).add(ONE)
    assert AllowedSetups(file).holds(ONE)
    assert not AllowedSetups(file).holds(OTHER)
    AllowedSetups(file).add(OTHER)
    assert AllowedSetups(file).holds(ONE)
    assert [path.name for path in file.parent.iterdir()] == ["allowed.json"]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "1", '{"setups": 1}', '{"setups": [1]}', "[" * 100_000, "\xff", '{"setups": ["' + "x" * (2 << 20)]
)
def test_a_damaged_file_allows_nothing_and_can_be_written_again(file: Path, damage: str) -> None:
    AllowedSetups(file).add(ONE)
    file.write_bytes(damage.encode("latin-1"))
    assert not AllowedSetups(file).holds(ONE)
    AllowedSetups(file).add(OTHER)
    assert AllowedSetups(file).holds(OTHER)


def test_what_is_no_file_allows_nothing(file: Path) -> None:
    file.parent.mkdir()
    file.symlink_to("/dev/zero")
    assert not AllowedSetups(file).holds(ONE)
    AllowedSetups(file).add(ONE)
    assert AllowedSetups(file).holds(ONE)
    assert not file.is_symlink()


def test_nobody_is_asked_where_there_is_no_set_up(tmp_path: Path) -> None:
    from codagent.sandbox.definition import load_definition

    assert NOTHING_ALLOWED(tmp_path, load_definition("python")) is None


def test_several_may_write_at_once_and_the_file_stays_whole(file: Path) -> None:
    threads = [threading.Thread(target=AllowedSetups(file).add, args=(Setup(script=str(number)),)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(AllowedSetups(file).holds(Setup(script=str(number))) for number in range(16))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        AllowedSetups(tmp_path / "state" / "allowed.json").add(ONE)


def test_the_file_lies_in_the_users_state_folder() -> None:
    assert allowed_file({"XDG_STATE_HOME": "/somewhere"}) == Path("/somewhere/codagent/allowed.json")
    assert allowed_file({}) == Path.home() / ".local/state/codagent/allowed.json"
