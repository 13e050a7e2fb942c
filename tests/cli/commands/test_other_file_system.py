"""The main commands where the repository, git's folder or the temporary folder lie on different file systems."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE
from tests.cli.loops import LOCAL, LOOP, noted, told


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another file system than the repository's."""
    folder = Path(tempfile.mkdtemp(prefix="codagent-test-", dir="/dev/shm"))
    assert folder.stat().st_dev != tmp_path.stat().st_dev, "this test needs two file systems; point pytest's --basetemp at a disk"
    yield folder
    shutil.rmtree(folder)


def git(repository, *arguments):
    return subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True).stdout


def test_run_and_what_follows_it_work_with_temporary_files_elsewhere(repository, codagent, script, elsewhere):
    done = codagent("run", "mend it", "--check", CHECK, *LOCAL, "--model", script(FIX), "--json", TMPDIR=str(elsewhere))
    assert (done.returncode, told(done)["outcome"]) == (0, "passed"), done.stderr
    for command in (("replay", *LOCAL), ("diff",), ("apply",)):
        followed = codagent(*command, TMPDIR=str(elsewhere))
        assert followed.returncode == 0, followed.stderr
    assert (repository / "answer.txt").read_text() == "right\n"


def test_a_loop_is_resumed_and_reported_with_temporary_files_elsewhere(repository, codagent, script, elsewhere):
    (repository / "untracked.txt").write_text("not committed\n")
    replies = [*IDLE, noted("tried nothing"), *FIX]
    first = codagent(*LOOP, "--iterations", "1", "--model", script(replies), "--json", TMPDIR=str(elsewhere))
    assert first.returncode == 3, first.stderr
    resumed = codagent("loop", "--resume", told(first)["id"], "--iterations", "2", *LOCAL, "--json", TMPDIR=str(elsewhere))
    assert told(resumed)["outcome"] == "passed", resumed.stderr
    assert codagent("report", TMPDIR=str(elsewhere)).returncode == 0


def test_a_store_of_packs_that_lies_elsewhere_takes_the_result(repository, codagent, script, elsewhere):
    packs = repository / ".git" / "objects" / "pack"
    shutil.rmtree(packs, ignore_errors=True)
    packs.symlink_to(elsewhere)
    done = codagent("run", "mend it", *LOCAL, "--model", script(FIX), "--json")
    assert done.returncode == 0, done.stderr
    assert git(repository, "show", f"{told(done)['commit']}:answer.txt") == "right\n"


def test_a_git_folder_elsewhere_takes_the_result(repository, codagent, script, elsewhere):
    shutil.move(repository / ".git", elsewhere / "git")
    (repository / ".git").write_text(f"gitdir: {elsewhere / 'git'}\n")
    done = codagent("run", "mend it", *LOCAL, "--model", script(FIX), "--json")
    assert done.returncode == 0, done.stderr
    assert codagent("apply").returncode == 0
    assert (repository / "answer.txt").read_text() == "right\n"
