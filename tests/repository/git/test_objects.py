"""Files moved between file systems."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from codagent.repository.git.objects import borrow_objects, move_file


@pytest.fixture
def elsewhere(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert Path(folder).stat().st_dev != tmp_path.stat().st_dev
        yield Path(folder)


def test_a_file_keeps_its_mode_and_replaces_what_is_there(tmp_path, elsewhere):
    (source := elsewhere / "run.sh").write_text("echo new\n")
    source.chmod(0o755)
    (target := tmp_path / "run.sh").write_text("echo old\n")
    move_file(source, target)
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("echo new\n", 0o755)
    assert not source.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run.sh"]


def test_a_link_stays_a_link(tmp_path, elsewhere):
    (source := elsewhere / "link").symlink_to("nowhere")
    move_file(source, tmp_path / "link")
    assert (tmp_path / "link").readlink() == Path("nowhere")
    assert not os.path.lexists(source)


def test_a_copy_that_fails_leaves_both_as_they_were(tmp_path, elsewhere):
    (source := elsewhere / "file").write_text("new\n")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "kept").write_text("kept\n")
    with pytest.raises(OSError, match="file"):
        move_file(source, tmp_path / "file")
    assert source.read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", [b"plain", b"two\nlines", b'"quoted"', b"back\\slash", b"\xff", b"# no comment", b" "])
def test_objects_are_found_in_a_folder_of_whatever_name(tmp_path, name):
    lender, borrower = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), tmp_path / "borrower"
    for folder in (lender, borrower):
        subprocess.run(["git", "init", "-q", folder], check=True)
    written = subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=lender, input=b"lent\n", capture_output=True, check=True)
    borrow_objects(borrower / ".git/objects", lender / ".git/objects")
    found = subprocess.run(["git", "cat-file", "blob", written.stdout.strip()], cwd=borrower, capture_output=True, check=True)
    assert found.stdout == b"lent\n"
