"""A loop whose record finds no room says so, and goes on when there is."""

import os
import subprocess

import pytest

from tests.cli.conftest import CODAGENT, call
from tests.cli.loops import LOCAL, LOOP, attempt, kinds, noted, record_of, tries


@pytest.fixture
def long(script):
    """A model that says more than a small disk holds."""
    return script([*tries("1"), call("bash", command=f"echo {'long ' * 20_000}"), *attempt("right"), noted("after 2")])


def check_that_it_goes_on(codagent, done, *flags):
    assert (done.returncode, "Traceback" in done.stderr) == (7, False), done.stderr
    assert "the record could not be written" in done.stderr
    loop_id = done.stderr.strip().rpartition("make room, then `codagent loop --resume ")[2].rstrip("`")
    on = codagent("loop", "--resume", loop_id, *LOCAL, "--json", *flags)
    assert (on.returncode, kinds(record_of(on))) == (0, [(kind, at) for at in range(2) for kind in ("solve", "notes")]), on.stderr
    assert [len(episode.steps) for episode in record_of(on).episodes] == [2, 1, 3, 1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_said_and_the_loop_goes_on_when_there_is_room(codagent, long, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        done = codagent(*LOOP, "--model", long, "--record", str(disk / "loops"))
        assert "No space left on device" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        check_that_it_goes_on(codagent, done, "--record", str(disk / "loops"))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_so_is_a_limit_on_the_size_of_files(codagent, long, repository):
    limited = ["env", f"HOME={repository.parent}", "bash", "-c", 'ulimit -f 64 && exec "$@"', "bash", CODAGENT, *LOOP, "--model", long]
    done = subprocess.run(limited, cwd=repository, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    check_that_it_goes_on(codagent, done)
