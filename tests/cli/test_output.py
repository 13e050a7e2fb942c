"""An output that nobody reads, or whose disk is full, breaks no command, and its exit code says so."""

import os
import subprocess

import pytest

from tests.cli.conftest import CODAGENT, FIX, call
from tests.cli.loops import LOCAL


@pytest.fixture
def shell(repository, tmp_path):
    """Runs a line of bash in which `codagent` is the installed command, and gives what it printed and the exit code of codagent."""

    def run(line):
        environment = os.environ | {"HOME": str(tmp_path), "PATH": f"{CODAGENT.parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", f"{line}; echo code ${{PIPESTATUS[0]}}"],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr, int(done.stdout.rpartition("code ")[2])

    return run


@pytest.mark.parametrize("command", ["list --json", "--help", "run --help"])
def test_a_reader_that_has_gone_is_no_bug(shell, command):
    assert shell(f"codagent {command} | (exec 0<&-)")[1] in (0, 141)


@pytest.mark.parametrize("command", ["list --json", "--help"])
def test_a_result_that_could_not_be_written_is_said(shell, command):
    said, code = shell(f"codagent {command} >/dev/full")
    assert (code, "standard output could not be written (no space left on device)" in said) == (7, True)


def test_a_log_that_is_full_does_not_end_the_work(shell, script, repository):
    said, code = shell(f"codagent run x --model {script(FIX)} {' '.join(LOCAL)} --json 2>/dev/full")
    assert (code, '"outcome": "done"' in said) == (0, True)


def test_work_whose_reader_goes_away_is_kept(shell, script, repository):
    slow = [*FIX[:1], call("bash", command="sleep 1; cat answer.txt"), call("bash", command="sleep 60"), *FIX[1:]]
    _, code = shell(f"codagent run x --model {script(slow)} {' '.join(LOCAL)} 2>&1 | grep -m1 '  2  bash'")
    assert code == 141
    listing = subprocess.run(["git", "branch", "--list", "codagent/*"], cwd=repository, capture_output=True, text=True, check=True)
    assert listing.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_were_closed_before_are_nothing(shell, closed):
    assert shell(f"(codagent list {closed})")[1] == 0
