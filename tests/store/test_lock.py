"""The lock of a loop, with real processes."""

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from codagent.errors import RepositoryError, UsageError
from codagent.store.lock import Lock

HOLD = """
import sys
from pathlib import Path
from codagent.errors import UsageError
from codagent.store.lock import Lock
print("ready", flush=True)
sys.stdin.readline()
try:
    with Lock(Path(sys.argv[2])) as lock:
        print("held", lock.took_over, flush=True)
        sys.stdin.readline()
except UsageError as error:
    print("refused", error, flush=True)
"""
HOLD_WITH_A_CHILD = """
import subprocess, sys
from pathlib import Path
from codagent.store.lock import Lock
print("ready", flush=True)
sys.stdin.readline()
with Lock(Path(sys.argv[2])):
    child = subprocess.Popen(["sleep", "60"], close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.readline()
"""
TAKE_TURNS = """
import sys, time
from pathlib import Path
from codagent.errors import UsageError
from codagent.store.lock import Lock
path, turns = Path(sys.argv[2]), 0
print("ready", flush=True)
sys.stdin.readline()
while turns < 200:
    try:
        with Lock(path):
            path.with_name("inside").mkdir()
            time.sleep(0.0005)
            path.with_name("inside").rmdir()
            turns += 1
    except UsageError:
        pass
print("done", flush=True)
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "1123-1").mkdir()
    return tmp_path / "1123-1" / "lock"


@contextmanager
def process(path, code=HOLD):
    """One that waits for a line, takes the lock, says so, and gives it back at the next line."""
    command = [sys.executable, "-c", code, "loop", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as other:
        try:
            assert other.stdout.readline() == "ready\n"
            yield other
        finally:
            other.kill()


def told(other):
    """What it says after one more line."""
    other.stdin.write("\n")
    return other.stdout.readline().strip()


def test_a_lock_is_there_while_it_is_held_and_not_longer(path):
    with Lock(path) as lock:
        assert path.read_text().startswith(f"process {os.getpid()} ")
        assert lock.took_over is None
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_given_back_after_an_error(path):
    with pytest.raises(ZeroDivisionError), Lock(path):
        raise ZeroDivisionError
    assert not path.exists()


def test_what_a_living_process_holds_is_refused_with_its_name(path):
    with process(path) as other:
        assert told(other) == "held None"
        refused = rf"^1123-1 is being worked on by process {other.pid} \(codagent loop\) since \d{{4}}-.*; wait for it, or stop it$"
        with pytest.raises(UsageError, match=refused), Lock(path):
            pass
        assert path.read_text().startswith(f"process {other.pid} ")
        other.communicate("\n")
        with Lock(path) as lock:
            assert lock.took_over is None


def test_the_same_process_does_not_hold_a_lock_twice(path):
    with Lock(path):
        with pytest.raises(UsageError, match=f"process {os.getpid()}"), Lock(path):
            pass
        assert path.exists()


def test_the_lock_of_a_killed_process_is_taken_over_even_before_its_parent_waits_for_it(path):
    with process(path) as other:
        told(other)
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with Lock(path) as lock:
            assert re.fullmatch(rf"process {other.pid} \(codagent loop\) since .*", lock.took_over)
    assert not path.exists()


def test_a_program_that_the_holder_started_does_not_hold_the_lock_after_it(path):
    with process(path, HOLD_WITH_A_CHILD) as other:
        child = int(told(other))
        try:
            other.kill()
            other.wait()
            with Lock(path) as lock:
                assert f"process {other.pid} " in lock.took_over
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_process_id_that_is_used_again_holds_nothing(path):
    path.write_text(f"process {os.getpid()} (codagent loop) on {socket.gethostname()} since 2026-11-23 20:00:00\n")
    with Lock(path) as lock:
        assert lock.took_over == f"process {os.getpid()} (codagent loop) since 2026-11-23 20:00:00"


def test_a_process_of_another_machine_holds_the_lock_where_the_disk_says_so(path):
    path.write_text("process 1 (codagent loop) on elsewhere.example since 2026-11-23 20:00:00\n")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as NFS does for a process of another machine
        with pytest.raises(UsageError, match=r"by process 1 \(codagent loop\) on elsewhere.example since .*; wait for it"), Lock(path):
            pass
    with Lock(path) as lock:
        assert "on elsewhere.example" in lock.took_over


def test_a_holder_that_has_not_said_its_name_is_refused_without_one(path):
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="is being worked on by another process; wait"), Lock(path):
            pass


def test_a_disk_without_locks_is_said(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(RepositoryError, match=rf"^{path} cannot be locked \(No locks available\); keep loops and notes"),
        Lock(path),
    ):
        pass


def test_a_lock_cut_off_at_any_byte_is_taken_over(path):
    with Lock(path):
        whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with Lock(path) as lock:
            assert lock.took_over == ("a process that is not known" if length else None)
            assert path.read_bytes().startswith(f"process {os.getpid()} ".encode())
        assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"\0" * 64,
        b"x since 2026-11-23 20:00:00\n",
        b"process 99999999999999999999 since 2026-11-23 20:00:00\n",
        b"process 1 on \x1b[2J since 2026-11-23 20:00:00\n",
        b"process 1 since 2026-11-23 20:00:00\n\n",
    ],
)
def test_what_is_no_lock_is_taken_over(path, text):
    path.write_bytes(text)
    with Lock(path) as lock:
        assert lock.took_over == "a process that is not known"


def test_the_lock_of_somebody_else_is_left_alone(path):
    with Lock(path):
        path.unlink()
        path.write_text("somebody else\n")
    assert path.read_text() == "somebody else\n"


def test_a_lock_whose_folder_was_removed_is_given_back_in_silence(path):
    with Lock(path):
        path.unlink()
        path.parent.rmdir()
    assert not path.parent.exists()


def test_of_many_processes_that_take_over_at_once_one_does(path):
    path.write_text(f"process 999999999 (codagent loop) on {socket.gethostname()} since 2026-11-23 20:00:00\n")
    with ExitStack() as stack:
        others = [stack.enter_context(process(path)) for _ in range(6)]
        for other in others:
            other.stdin.write("\n")
        answers = [other.stdout.readline().split()[0] for other in others]
        assert sorted(answers) == ["held", *["refused"] * 5]


def test_processes_that_take_turns_are_never_inside_together(path):
    with ExitStack() as stack:
        others = [stack.enter_context(process(path, TAKE_TURNS)) for _ in range(3)]
        for other in others:
            other.stdin.write("\n")
        assert [other.stdout.readline() for other in others] == ["done\n"] * 3
    assert list(path.parent.iterdir()) == []
