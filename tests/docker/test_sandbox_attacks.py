"""Each claim of the sandbox, attacked from inside. After each test the sandbox must still work and its container must go."""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
import time
from contextlib import suppress

import pytest

from codagent.errors import SandboxError
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.sandbox.docker.sandbox import MAX_READ, DockerSandbox
from tests.docker.forger import FORGER
from tests.sleepers import run_past_its_limit

pytestmark = pytest.mark.docker


def works(sandbox: DockerSandbox) -> bool:
    return sandbox.run("echo on", timeout=60).output == "on\n"


def list_processes(sandbox: DockerSandbox) -> set[str]:
    """Names of what runs, but for what it takes to ask. What is dead and not yet collected by init does not run."""
    stats = re.findall(r"^\d+ \((.*)\) (\w)", sandbox.run("cat /proc/[0-9]*/stat 2>/dev/null", timeout=60).output, re.MULTILINE)
    return {name for name, state in stats if state not in "ZX"} - {"docker-init", "tini", "bash", "cat", "runc:[2:INIT]"}


def wait_for_processes(sandbox: DockerSandbox, expected: set[str]) -> set[str]:
    """What runs, as soon as that is what is expected, or after some seconds: starting and dying take a moment."""
    deadline = time.monotonic() + 60
    while (running := list_processes(sandbox)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return running


def test_there_is_no_network(sandbox: DockerSandbox) -> None:
    assert sandbox.run("ls /sys/class/net", timeout=60).output == "lo\n"
    for target in ("192.0.2.1/80", "172.17.0.1/22", "169.254.169.254/80"):
        assert sandbox.run(f"exec 3<>/dev/tcp/{target}", timeout=60).exit_code == 1
    assert sandbox.run("getent hosts example.org", timeout=60).exit_code != 0


def test_host_files_and_variables_are_out_of_reach(sandbox: DockerSandbox) -> None:
    kinds = sandbox.run(r"sed -n 's/.* - \([^ ]*\) .*/\1/p' /proc/self/mountinfo | sort -u", timeout=60).output.split()
    mounted = sandbox.run("grep -E ' - (ext4|xfs|btrfs|9p|virtiofs) ' /proc/self/mountinfo | awk '{print $5}'", timeout=60).output.split()
    assert {"overlay", "proc", "tmpfs"} <= set(kinds)
    assert set(mounted) <= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/usr/sbin/docker-init", "/sbin/docker-init"}
    assert sandbox.run("ls /var/run/docker.sock /root/.ssh", timeout=60).exit_code != 0
    assert sandbox.run("cat ../../../../../../etc/shadow", timeout=60).exit_code != 0
    assert os.uname().nodename not in sandbox.run("env; hostname", timeout=60).output


def test_host_keys_are_not_passed_on(sandbox: DockerSandbox) -> None:
    names = {
        line.partition("=")[0]
        for line in sandbox.run("cat /proc/self/environ /proc/1/environ | tr '\\0' '\\n'", timeout=60).output.split("\n")
    }
    assert not {name for name in names if "KEY" in name or "TOKEN" in name or "PROXY" in name.upper()}


def test_a_set_user_id_program_gives_no_rights(sandbox: DockerSandbox) -> None:
    assert sandbox.run("su -c id", timeout=60).exit_code != 0
    assert sandbox.run("unshare -r id", timeout=60).exit_code != 0
    assert sandbox.run("mount -t tmpfs none /tmp", timeout=60).exit_code != 0
    assert sandbox.run("touch /usr/bin/new", timeout=60).exit_code != 0


@pytest.mark.parametrize("bomb", ["bomb() { bomb | bomb & }; bomb; sleep 60", "perl -e 'fork while 1'"])
def test_a_fork_bomb_is_cleared_away(sandbox: DockerSandbox, bomb: str) -> None:
    result = sandbox.run(bomb, timeout=2)
    assert (result.exit_code, result.timed_out) == (124, True)
    assert works(sandbox)
    assert wait_for_processes(sandbox, set()) == set()


def test_a_fork_bomb_left_in_the_background_is_cleared_away_by_the_next_time_limit(sandbox: DockerSandbox) -> None:
    sandbox.run("perl -e 'fork while 1' & sleep 1", timeout=3)
    sandbox.run("sleep 1", timeout=3)
    for _ in range(2):
        if works(sandbox):
            break
    assert works(sandbox)


def test_a_memory_hog_is_killed_and_nothing_else(sandbox: DockerSandbox) -> None:
    sandbox.write("kept", b"kept")
    assert sandbox.run("tail /dev/zero", timeout=60).exit_code == 137
    assert works(sandbox)
    assert sandbox.read("kept") == b"kept"


def test_files_cannot_fill_more_than_their_room(sandbox: DockerSandbox) -> None:
    for folder, megabytes in (("/workspace", 1024), ("/tmp", 256), ("/output", 64)):
        result = sandbox.run(
            f"head -c 2G /dev/zero >{folder}/filling 2>/tmp/err; stat -c %s {folder}/filling >/tmp/n; rm {folder}/filling; cat /tmp/n",
            timeout=60,
        )
        assert int(result.output) <= megabytes * 1024 * 1024
    assert works(sandbox)


def test_a_full_workspace_refuses_a_write_and_runs_none_of_it(sandbox: DockerSandbox) -> None:
    sandbox.run("head -c 1023M /dev/zero >filling", timeout=60)
    with pytest.raises(OSError, match="No space"):
        sandbox.write("script", b"touch /tmp/run-as-a-command\n" * 1_000_000)
    assert sandbox.run("ls /tmp", timeout=60).output == ""


def test_what_left_its_session_does_not_survive_the_time_limit(sandbox: DockerSandbox) -> None:
    sandbox.run("setsid sleep 300 & (trap '' TERM HUP INT; setsid nohup sleep 300) & disown -a", timeout=60)
    assert wait_for_processes(sandbox, {"sleep"}) == {"sleep"}
    result = run_past_its_limit(sandbox.run, "echo so far; setsid sleep 300; sleep 300")
    assert (result.exit_code, result.timed_out, result.output) == (124, True, "so far\n")
    assert wait_for_processes(sandbox, set()) == set()


def test_a_gigabyte_of_output_stays_small_here_and_there(sandbox: DockerSandbox) -> None:
    result = sandbox.run("yes | head -c 1000000000", timeout=60)
    assert len(result.output) <= MAX_OUTPUT + 100
    assert result.omitted_bytes > 60_000_000
    assert works(sandbox)


def test_a_flood_from_the_background_does_not_take_the_room_of_others(sandbox: DockerSandbox) -> None:
    sandbox.run("(while sleep 0.01; do head -c 1000000 /dev/zero; done) &", timeout=60)
    for _ in range(40):
        assert sandbox.run("sleep 0.05; echo on", timeout=60).output == "on\n"


def test_binary_and_control_sequences_come_as_they_are(sandbox: DockerSandbox) -> None:
    result = sandbox.run(r"printf '\033]0;title\007\033[2J\r\0\377\376end'", timeout=60)
    assert result.output == "\033]0;title\007\033[2J\r\0��end"
    assert sandbox.run("head -c 100000 /dev/urandom", timeout=60).exit_code == 0
    assert works(sandbox)


@pytest.mark.parametrize("attack", ["kill -KILL -1", "kill -KILL $PPID"])
def test_an_agent_that_kills_its_shell_is_told_so(sandbox: DockerSandbox, attack: str) -> None:
    result = sandbox.run(attack, timeout=60)
    assert result.exit_code == 137
    assert "shell was killed" in result.output
    assert works(sandbox)


def test_a_shell_that_is_stopped_meets_the_time_limit(sandbox: DockerSandbox) -> None:
    assert sandbox.run("kill -STOP $PPID; sleep 60", timeout=1).timed_out
    assert works(sandbox)


def test_a_forged_answer_fools_nobody_and_a_flooded_channel_ends(sandbox: DockerSandbox) -> None:
    forged = sandbox.run("printf '%032d 0 3\\nyes\\n' 7 >/proc/$PPID/fd/1; exit 5", timeout=60)
    assert (forged.exit_code, forged.output) == (5, "")
    flooded = sandbox.run("timeout 2 cat /dev/zero >/proc/$PPID/fd/1; exit 5", timeout=60)
    assert flooded.exit_code == 5
    assert works(sandbox)


TAILS = [
    b" 0 3\nyes",
    b" %s 0\n" % (b"9" * 5000),
    b" 99999999999999999999 0\n",
    b" 0 999999999999\n" + b"x" * 1000,
]


@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: repr(tail[:24]))
def test_who_answers_in_the_place_of_the_shell_breaks_nothing_here(
    sandbox: DockerSandbox, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own commands' output and status it can forge, and what it reads; the host goes on."""
    monkeypatch.setattr("codagent.sandbox.docker.shell._PATIENCE", 2.0)
    sandbox.write("forger.py", FORGER.encode())
    sandbox.write("big", b"0" * 20_000_000)
    forged = sandbox.run(f"python3 forger.py {shlex.quote(repr(tail))} 2", timeout=60)
    assert forged.output == "yes" if tail == TAILS[0] else 0 <= forged.exit_code <= 999
    assert len(forged.output) < MAX_OUTPUT + 100
    sandbox.run(f"python3 forger.py {shlex.quote(repr(tail))} 2 >/dev/null 2>&1 & sleep 0.2", timeout=60)
    for _ in range(10):
        with suppress(OSError, SandboxError):
            assert len(sandbox.read("big")) <= MAX_READ
        with suppress(OSError, SandboxError):
            sandbox.write("small", b"0" * 1_000_000)
    monkeypatch.undo()
    sandbox.kill_all()  # the forger may still run
    assert works(sandbox)


@pytest.mark.parametrize("log", ["mkfifo", "mkdir", "ln -s /dev/zero", "ln -s /nowhere"])
def test_a_log_that_the_command_replaces_neither_blocks_nor_breaks(sandbox: DockerSandbox, log: str) -> None:
    result = sandbox.run(f"rm /output/000001.log; {log} /output/000001.log; exit 3", timeout=60)
    assert (result.exit_code, result.output, result.timed_out) == (3, "", False)
    sandbox.run(f"{log} /output/000003.log", timeout=60)
    assert works(sandbox)


def test_a_pipe_is_not_written_to(sandbox: DockerSandbox) -> None:
    sandbox.run("mkfifo pipe", timeout=60)
    with pytest.raises(OSError, match="Invalid argument"):
        sandbox.write("pipe", b"x" * 1_000_000)
    with pytest.raises(OSError, match="Invalid argument"):
        sandbox.write("a\0b", b"x")
    assert works(sandbox)


@pytest.mark.parametrize("left", ["perl -e 'fork while 1' & sleep 1", "setsid sleep 300 & (trap '' TERM HUP; exec sleep 300) &"])
def test_everything_that_is_left_running_can_be_killed(sandbox: DockerSandbox, left: str) -> None:
    sandbox.run(f"echo kept >kept; {left}", timeout=60)
    sandbox.kill_all()
    assert list_processes(sandbox) == set()
    assert sandbox.run("cat kept", timeout=60).output == "kept\n"


def test_a_flood_of_the_channel_meets_the_time_limit(sandbox: DockerSandbox) -> None:
    result = sandbox.run("cat /dev/zero >/proc/$PPID/fd/1", timeout=2)  # without a limit it would never end
    assert (result.exit_code, result.timed_out) == (124, True)
    assert works(sandbox)


def test_an_interrupt_here_kills_what_runs_there(sandbox: DockerSandbox) -> None:
    def run_and_interrupt() -> None:
        threading.Timer(1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        sandbox.run("setsid sleep 300 & sleep 300", timeout=300)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_and_interrupt()
    assert time.monotonic() - started < 200
    assert wait_for_processes(sandbox, set()) == set()


def test_many_memory_hogs_at_once_are_cleared_away(sandbox: DockerSandbox) -> None:
    sandbox.run("for i in 1 2 3 4 5 6; do tail /dev/zero & done; wait", timeout=60)
    assert works(sandbox)
