"""An output that nobody reads, or whose disk is full, breaks no command, and its exit code says so."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import CODAGENT, FIX, call
from tests.cli.loops import LOCAL

LEAD_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.write(1, b".")
os.execv(sys.argv[1], sys.argv[1:])
"""


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
            timeout=250,
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


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.8, 2.0])
def test_a_terminal_that_is_closed_ends_a_session_at_any_moment(repository, script, tmp_path, seconds):
    ours, theirs = os.openpty()
    session = subprocess.Popen(
        [sys.executable, "-c", LEAD_TERMINAL, CODAGENT, "session", "--model", script(FIX), *LOCAL],
        cwd=repository,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"HOME": str(tmp_path), "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    assert os.read(ours, 1) == b"."
    time.sleep(seconds)
    os.close(ours)
    assert session.wait(200) in (129, -signal.SIGHUP)  # the latter before codagent listens
