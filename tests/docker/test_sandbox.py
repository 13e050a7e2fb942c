"""What a sandbox does for those who mean well."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from codagent.errors import SandboxError
from codagent.sandbox.check import check, processes_are_limited
from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.sandbox.docker.sandbox import DockerSandbox
from codagent.sandbox.images.image import ensure_image
from codagent.types import CommandResult

pytestmark = pytest.mark.docker


def test_a_command_gives_its_exit_code_and_both_its_streams_in_order(sandbox: DockerSandbox) -> None:
    result = sandbox.run("echo out; echo err >&2; exit 3", timeout=60)
    assert (result.exit_code, result.output, result.timed_out, result.omitted_bytes) == (3, "out\nerr\n", False, 0)


def test_a_command_starts_in_the_workspace_whatever_the_last_one_did(sandbox: DockerSandbox) -> None:
    sandbox.run("cd /tmp; export LEFT=over; exec 9<>/tmp/file; umask 077", timeout=60)
    assert sandbox.run('pwd; echo "<$LEFT>"; umask', timeout=60).output == "/workspace\n<>\n0022\n"


def test_standard_input_is_empty(sandbox: DockerSandbox) -> None:
    assert sandbox.run("cat; read line; echo $?", timeout=120).output == "1\n"


def test_a_child_left_in_the_background_neither_blocks_nor_mixes_its_output_into_the_next(sandbox: DockerSandbox) -> None:
    first = sandbox.run("(until [ -e go ]; do sleep 0.05; done; echo late) & echo early", timeout=60)
    second = sandbox.run("touch go; until grep -q late /output/000001.log; do sleep 0.05; done; echo second", timeout=60)
    assert (first.output, second.output) == ("early\n", "second\n")
    assert sandbox.read("/output/000001.log") == b"early\nlate\n"


def test_ending_the_own_process_group_does_not_end_the_shell(sandbox: DockerSandbox) -> None:
    assert sandbox.run("kill -KILL 0", timeout=60).output == ""
    assert sandbox.run("echo on", timeout=60).output == "on\n"


def test_bytes_come_back_as_they_were_written(sandbox: DockerSandbox) -> None:
    data = bytes(range(256)) * 5000
    sandbox.write("a/deep/folder/file.bin", data)
    assert sandbox.read("a/deep/folder/file.bin") == data
    assert sandbox.read("/workspace/a/deep/folder/file.bin") == data


def test_an_open_file_can_be_written_too(sandbox: DockerSandbox) -> None:
    sandbox.write("file", io.BytesIO(b"kill -9 -1\n" * 100_000))
    assert sandbox.run("wc -l <file", timeout=60).output == "100000\n"


@pytest.mark.parametrize("name", ["-n", "two words", "quo'te", "new\nline", "$(id)", "ünï"])
def test_any_name_is_only_a_name(sandbox: DockerSandbox, name: str) -> None:
    sandbox.write(name, b"x")
    assert sandbox.read(name) == b"x"


def test_files_that_cannot_be_read_or_written_raise_what_local_files_would(sandbox: DockerSandbox) -> None:
    sandbox.run("mkdir folder; mkfifo pipe; truncate -s 300M big; touch shut; chmod 000 shut", timeout=60)
    with pytest.raises(FileNotFoundError):
        sandbox.read("missing")
    with pytest.raises(IsADirectoryError):
        sandbox.read("folder")
    with pytest.raises(PermissionError):
        sandbox.read("shut")
    with pytest.raises(IsADirectoryError):
        sandbox.write("folder", b"x")
    with pytest.raises(PermissionError):
        sandbox.write("/etc/new", b"x" * 1_000_000)
    for path in ("pipe", "big"):
        with pytest.raises(OSError, match=path):
            sandbox.read(path)
    assert sandbox.run("echo on", timeout=60).output == "on\n"


def test_a_long_output_comes_back_as_its_two_ends_and_the_rest_stays_in_its_log(sandbox: DockerSandbox) -> None:
    result = sandbox.run("seq 200000", timeout=60)
    whole = "".join(f"{number}\n" for number in range(1, 200001))
    assert result.output == whole[: MAX_OUTPUT // 2] + whole[-MAX_OUTPUT // 2 :]
    assert result.omitted_bytes == len(whole) - MAX_OUTPUT
    assert result.log is not None
    assert sandbox.read(result.log) == whole.encode()


def test_a_command_longer_than_an_argument_may_be_runs(sandbox: DockerSandbox) -> None:
    assert sandbox.run(f"x='{'y' * 500_000}'; echo ${{#x}}", timeout=60).output == "500000\n"


def test_a_command_with_a_nul_byte_fails_and_nothing_runs(sandbox: DockerSandbox) -> None:
    assert sandbox.run("touch made\0; true", timeout=60).exit_code == 126
    assert sandbox.run("ls", timeout=60).output == ""


def test_git_and_pytest_are_there(sandbox: DockerSandbox) -> None:
    sandbox.write("test_one.py", b"def test_one():\n    assert True\n")
    done = sandbox.run("git init -q && git add -A && git commit -qm one && python -m pytest -q && rg -l assert", timeout=60)
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "test_one.py")


def test_many_commands_never_fill_the_room_for_output(sandbox: DockerSandbox) -> None:
    for _ in range(12):
        result = sandbox.run("head -c 20000000 /dev/zero | tr '\\0' x", timeout=60)
        assert (result.exit_code, result.omitted_bytes) == (0, 20_000_000 - MAX_OUTPUT)


def test_a_closed_sandbox_says_so_and_its_container_goes(sandbox: DockerSandbox, python_sandbox: Definition) -> None:
    sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run("true", timeout=1)


def test_a_container_that_is_gone_is_a_sandbox_error(
    sandbox: DockerSandbox, client: Any, containers: Callable[..., list[dict[str, Any]]], request: pytest.FixtureRequest
) -> None:
    [container] = containers(f"test-{request.node.name}"[:60], owner=os.getpid())
    client.remove_container(container["Id"], force=True)
    with pytest.raises(SandboxError, match="gone"):
        sandbox.run("true", timeout=60)


def test_a_command_through_the_channel_takes_less_time_than_an_exec_of_its_own(sandbox: DockerSandbox) -> None:
    def measure(run: Callable[..., CommandResult]) -> float:
        started = time.monotonic()
        run("true", timeout=60)
        return time.monotonic() - started

    measure(sandbox.run_attested)  # by a shell that is up already
    both = [(measure(sandbox.run), measure(sandbox.run_attested)) for _ in range(8)]
    assert min(channel for channel, _ in both) < min(own for _, own in both) / 2


def test_every_claim_of_check_holds(python_sandbox: Definition) -> None:
    assert [claim for claim, holds in check("python") if not holds] == []


@pytest.mark.parametrize(("pids", "holds"), [(512, True), (1024, False)])
def test_the_limit_of_processes_is_judged_right_on_a_slow_machine(python_sandbox: Definition, pids: int, holds: bool) -> None:
    from msgspec.structs import replace

    with closing(DockerSandbox.start(replace(python_sandbox, cpus=0.1, pids=pids), loop="test-slow")) as sandbox:
        assert processes_are_limited(sandbox, python_sandbox) == holds


def test_more_processors_than_the_engine_has_are_no_limit(python_sandbox: Definition) -> None:
    from msgspec.structs import replace

    with closing(DockerSandbox.start(replace(python_sandbox, cpus=4096.0), loop="test-many")) as sandbox:
        assert sandbox.run("nproc", timeout=60).exit_code == 0


def test_a_protection_that_is_off_is_off_and_nothing_else(python_sandbox: Definition) -> None:
    from msgspec.structs import replace

    opened = replace(python_sandbox, off=("network",))
    sandbox = DockerSandbox.start(opened, loop="test-off")
    interfaces = sandbox.run("ls /sys/class/net; grep -c '^CapEff:.0000000000000000' /proc/self/status", timeout=60).output
    sandbox.close()
    assert interfaces == "eth0\nlo\n1\n"


def test_a_missing_image_says_which_command_builds_it(python_sandbox: Definition) -> None:
    from msgspec.structs import replace

    missing = replace(python_sandbox, image="codagent/nothing")
    for start in (lambda: DockerSandbox.start(missing, loop="x"), lambda: ensure_image(missing, say=print)):
        with pytest.raises(SandboxError, match="codagent sandbox build python"):
            start()


@pytest.mark.parametrize("command", ["sleep 60", "sleep 60 & wait", "setsid sleep 60"])
def test_a_command_is_stopped_from_another_thread_and_the_sandbox_goes_on(sandbox: DockerSandbox, command: str) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(sandbox.run, f"echo begun; echo kept > file; {command}", timeout=60)
        while not running.done():
            sandbox.stop_command()
            time.sleep(0.2)
    assert running.result().exit_code == 137
    sandbox.stop_command()  # nothing runs
    assert sandbox.run("cat /proc/[0-9]*/comm | grep -x sleep; echo on", timeout=60).output == "on\n"
