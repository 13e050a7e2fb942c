"""Files moved between file systems."""

import os
import tempfile
from pathlib import Path

import pytest

from codagent.repository.git.objects import move_file


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
