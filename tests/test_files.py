"""Temporary folders: gone at the end, and gone after a kill when the next one is made; nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.files import TemporaryFolder, expand_user, read_table, temporary_folder, write_table

KILLED = """
import os, signal
from codagent.files import TemporaryFolder
folder = TemporaryFolder()
(folder.path / "deep").mkdir()
(folder.path / "deep" / "work").write_text("half")
print(folder.path, flush=True)
os.kill(os.getpid(), signal.{name})
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_is_there_for_a_block_and_then_gone(tmp_path: Path) -> None:
    with temporary_folder() as folder:
        (folder / "a").write_text("a")
        assert folder.parent == tmp_path
    with pytest.raises(KeyError), temporary_folder() as folder:
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_what_a_killed_process_left_is_gone_when_the_next_folder_is_made(tmp_path: Path, name: str) -> None:
    env = dict(os.environ) | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", KILLED.format(name=name)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.Signals[name]
    left = Path(done.stdout.strip())
    assert (left / "deep" / "work").exists()
    with temporary_folder() as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_in_use_stays(tmp_path: Path) -> None:
    env = dict(os.environ) | {"TMPDIR": str(tmp_path)}
    code = KILLED.format(name="SIGSTOP")
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        ours = TemporaryFolder()
        with temporary_folder():
            assert theirs.is_dir()
            assert ours.path.is_dir()
        ours.close()
        other.kill()


@pytest.mark.parametrize("name", ["codagent-project", "codagent-tmp-notes", "codagent-tmp-mywork01", "tmp12345678"])
def test_a_folder_that_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / name / "work").write_text("theirs")
    with temporary_folder():
        pass
    assert (tmp_path / name / "work").read_text() == "theirs"


def test_a_link_with_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "work").write_text("theirs")
    (tmp_path / "codagent-tmp-12345678").symlink_to(tmp_path / "home")
    with temporary_folder():
        pass
    assert (tmp_path / "home" / "work").read_text() == "theirs"


def test_many_threads_make_folders_at_the_same_time(tmp_path: Path) -> None:
    def make(number: int) -> bool:
        with temporary_folder() as folder:
            (folder / "own").write_text(str(number))
            return (folder / "own").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(make, range(200)))
    assert list(tmp_path.iterdir()) == []


def test_many_processes_do_not_remove_the_folders_of_each_other(tmp_path: Path) -> None:
    code = """
from codagent.files import temporary_folder
for number in range(300):
    with temporary_folder() as folder:
        (folder / "own").write_text("own")
        (folder / "own").read_text()
"""
    env = dict(os.environ) | {"TMPDIR": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in running] == [""] * 4
    assert list(tmp_path.iterdir()) == []


def test_many_threads_close_a_folder_at_the_same_time(tmp_path: Path) -> None:
    folders = [TemporaryFolder() for _ in range(50)]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(TemporaryFolder.close, [folder for folder in folders for _ in range(4)]):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damaged", ["", "{", "[]", "null", "[" * 100_000, "\ufffd", '{"a": 1e999'])
def test_a_small_file_that_is_damaged_holds_nothing_and_is_written_anew(tmp_path: Path, damaged: str) -> None:
    file = tmp_path / "deep" / "table.json"
    write_table(file, {"a": "b"})
    assert read_table(file) == {"a": "b"}
    file.write_text(damaged)
    assert read_table(file) == {}
    write_table(file, read_table(file) | {"c": "d"})
    assert (read_table(file), [path.name for path in file.parent.iterdir()]) == ({"c": "d"}, ["table.json"])


def test_a_small_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"table.json cannot be written \("):
        write_table(tmp_path / "file" / "table.json", {})


def test_a_home_folder_that_is_not_known_is_said() -> None:
    with pytest.raises(UsageError, match="the home folder in ~nobody-of-this-name/x is not known; set HOME"):
        expand_user("~nobody-of-this-name/x")
