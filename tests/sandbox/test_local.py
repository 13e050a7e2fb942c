from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from codagent.errors import SandboxError
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.sandbox.local import LocalSandbox
from tests.sleepers import run_past_its_limit, sleeps, unique_seconds, wait_until_none_sleeps, wait_until_they_sleep


@pytest.fixture
def sandbox() -> Iterator[LocalSandbox]:
    with closing(LocalSandbox()) as sandbox:
        yield sandbox


def test_a_command_gives_its_exit_code_and_both_its_streams(sandbox: LocalSandbox) -> None:
    result = sandbox.run("echo out; echo err >&2; exit 3", timeout=60)
    assert (result.exit_code, result.output, result.timed_out) == (3, "out\nerr\n", False)


@pytest.mark.parametrize("gone", ['"$PWD"', '"$PWD/../output"', '"$PWD" "$PWD/../output"'])
def test_a_command_that_begins_while_the_sandbox_is_being_closed_is_no_bug(sandbox: LocalSandbox, gone: str) -> None:
    with suppress(SandboxError):
        sandbox.run(f"rm -rf {gone}", timeout=60)  # what `close` does, up to a moment
    with pytest.raises(SandboxError, match="the sandbox was closed while a command began"):
        sandbox.run("true", timeout=60)


def test_a_verdict_is_reached_as_any_command_runs(sandbox: LocalSandbox) -> None:
    result = sandbox.run_attested("echo out; exit 3", timeout=60)
    assert (result.exit_code, result.output, result.timed_out) == (3, "out\n", False)


def test_a_command_past_its_time_limit_is_killed_with_its_children(sandbox: LocalSandbox) -> None:
    started = time.monotonic()
    result = run_past_its_limit(sandbox.run, "echo so far; sleep 300 & sleep 300")
    assert (result.exit_code, result.timed_out, result.output) == (124, True, "so far\n")
    assert time.monotonic() - started < 200


def test_a_killed_command_has_the_exit_code_of_a_shell(sandbox: LocalSandbox) -> None:
    assert sandbox.run("kill -KILL $$", timeout=60).exit_code == 137


def test_keys_in_variables_are_not_passed_on(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    assert "secret" not in sandbox.run("env", timeout=60).output


def test_a_long_output_comes_back_as_its_two_ends(sandbox: LocalSandbox) -> None:
    whole = "".join(f"{number}\n" for number in range(1, 100001))
    result = sandbox.run("seq 100000", timeout=60)
    assert result.output == whole[: MAX_OUTPUT // 2] + whole[-MAX_OUTPUT // 2 :]
    assert result.omitted_bytes == len(whole) - MAX_OUTPUT
    assert result.log is not None
    assert sandbox.read(result.log) == whole.encode()


def test_files_go_in_and_come_out(sandbox: LocalSandbox) -> None:
    sandbox.write("a/b", b"\0\xff")
    assert sandbox.read("a/b") == b"\0\xff"
    with pytest.raises(FileNotFoundError):
        sandbox.read("missing")


def test_closing_removes_what_it_made_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    sandbox = LocalSandbox(tmp_path)
    sandbox.write("kept", b"")
    sandbox.close()
    assert (tmp_path / "kept").exists()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run("true", timeout=1)


def test_what_commands_left_running_is_killed_also_outside_of_its_session(sandbox: LocalSandbox) -> None:
    first, second = unique_seconds(), unique_seconds()
    sandbox.run(f"sleep {first} & setsid sleep {second} & disown -a; echo $!", timeout=60)
    wait_until_they_sleep(first, second)
    sandbox.kill_all()
    wait_until_none_sleeps(first, second)
    assert sandbox.run("echo on", timeout=60).output == "on\n"


def test_closing_kills_what_commands_left_running_and_nothing_of_another_sandbox(sandbox: LocalSandbox) -> None:
    other, its, own = LocalSandbox(), unique_seconds(), unique_seconds()
    other.run(f"setsid sleep {its} &", timeout=60)
    sandbox.run(f"setsid sleep {own} &", timeout=60)
    wait_until_they_sleep(its, own)
    other.close()
    wait_until_none_sleeps(its)
    assert sleeps(own)


@pytest.mark.parametrize("command", ["sleep 1000", "setsid sleep 1000; sleep 1000", "trap '' HUP TERM; while true; do sleep 1; done"])
def test_nothing_is_left_when_codagent_is_killed_while_a_command_runs(command: str, tmp_path: Path) -> None:
    code = f"from codagent.sandbox.local import LocalSandbox; LocalSandbox().run({'echo begun; pwd; ' + command!r}, timeout=1000)"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}) as killed:
        while not any(log.read_text() for log in tmp_path.glob("*/output/*.log")):
            time.sleep(0.01)
        (folder,) = tmp_path.iterdir()
        killed.kill()
    home = f"HOME={folder}/home".encode()
    while folder.exists() or any(home in environment for environment in read_environments()):
        time.sleep(0.01)


def read_environments() -> Iterator[bytes]:
    for file in (folder / "environ" for folder in Path("/proc").glob("[0-9]*")):
        with suppress(OSError):
            yield file.read_bytes()


def test_a_command_longer_than_an_argument_may_be_runs(sandbox: LocalSandbox) -> None:
    assert sandbox.run(f"x='{'y' * 500_000}'; echo ${{#x}}", timeout=60).output == "500000\n"


def test_a_path_that_no_file_can_have_is_an_os_error(sandbox: LocalSandbox) -> None:
    for use in (lambda: sandbox.read("a\0b"), lambda: sandbox.write("a\0b", b"x")):
        with pytest.raises(OSError, match="Invalid argument"):
            use()


def test_a_process_that_has_just_ended_does_not_end_the_search_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the list of /proc and a look at it, processes end."""
    with closing(LocalSandbox()) as sandbox:
        found = [Path("/proc/4194305"), Path("/proc/version"), Path("/proc/self"), Path(f"/proc/{os.getpid()}")]
        monkeypatch.setattr(Path, "iterdir", lambda _: iter(found))
        assert sandbox._list_processes() == []
        monkeypatch.undo()
