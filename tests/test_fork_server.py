"""A command that is forked is as one that a shell starts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.fork_server import ForkServer

COMMAND = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("MARK"), sys.stdin.read(), "colorsys" in sys.modules, __name__]))
print("said", file=sys.stderr)
if sys.argv[1] == "code": sys.exit(7)
if sys.argv[1] == "bug": raise ValueError("a bug")
if sys.argv[1] == "kill": os.kill(os.getpid(), 9)
if sys.argv[1] == "sleep": sys.stdout.flush(); os.execvp("sleep", ["sleep", "60"])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    script = tmp_path_factory.mktemp("command") / "command.py"
    script.write_text(f"#!{sys.executable}{COMMAND}")
    script.chmod(0o755)
    return ForkServer(script, ["colorsys"])


def call(server, tmp_path, *words, timeout=100, **environment):
    return server.run(*words, cwd=tmp_path, env=os.environ | environment, stdin="typed\n", timeout=timeout)


def test_it_has_what_the_call_gives_and_nothing_of_another_call(server, tmp_path):
    first = call(server, tmp_path, "code", "ä b\udcff", Path("p"), MARK="1")
    assert (first.returncode, first.stderr) == (7, "said\n")
    assert json.loads(first.stdout) == [["code", "ä b\udcff", "p"], str(tmp_path), "1", "typed\n", True, "__main__"]
    second = call(server, tmp_path, "other")
    assert (second.returncode, json.loads(second.stdout)[2]) == (0, None)


@pytest.mark.parametrize(("word", "code", "told"), [("bug", 1, "ValueError: a bug"), ("kill", -signal.SIGKILL, "")])
def test_it_ends_as_it_would(server, tmp_path, word, code, told):
    done = call(server, tmp_path, word)
    assert done.returncode == code
    assert told in done.stderr


def test_what_was_read_once_is_read_again_where_it_differs(server, tmp_path):
    done = call(server, tmp_path, "code", PYTHONUTF8="0", MARK="2")
    assert (done.returncode, json.loads(done.stdout)[2:5]) == (7, ["2", "typed\n", False])


def test_one_that_takes_too_long_is_killed(server, tmp_path):
    begun = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        call(server, tmp_path, "sleep", timeout=0.5)
    assert time.monotonic() - begun < 50


def test_many_run_at_the_same_time(server, tmp_path):
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(call(server, tmp_path, "code").returncode)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [7] * 8


def test_the_server_ends_with_the_tests(tmp_path):
    (tmp_path / "command.py").write_text("import os\nprint(os.getppid())\n")
    code = f"""
import os, pathlib
from tests.fork_server import ForkServer
done = ForkServer(pathlib.Path({str(tmp_path / "command.py")!r}), []).run(cwd=pathlib.Path("/"), env=os.environ, timeout=100)
print(done.stdout)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert int(done.stdout) > 1  # standard error and output are closed, so no process is left that holds them
