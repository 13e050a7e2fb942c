"""The exit codes of checks come from the engine, whatever the code under test writes, kills or leaves behind."""

from __future__ import annotations

import base64

import pytest

from codagent.errors import SandboxError
from codagent.repository.gate import Gates
from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.sandbox.docker.sandbox import DockerSandbox
from tests.docker.forger import FORGER
from tests.repository.gate.conftest import START, Shop
from tests.sleepers import run_past_its_limit

pytestmark = pytest.mark.docker

TAILS = [b" 0 3\nok\n", b" " + b"9" * 5000 + b" 0\n\n", b" 0 999999999999\n"]
CHECKS = [
    "bash -c 'PYTHONPATH=. python3 -m pytest -q; exit 1'",
    "PYTHONPATH=. python3 -m pytest -q",
    "PYTHONPATH=. python3 -c 'import shop.price'; false",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop") / "repository")


def forge_while_imported(tail: bytes) -> str:
    """The module under test, unsolved, which forges for some seconds while it is imported, and on after that."""
    code = base64.b64encode(FORGER.encode()).decode()
    start = f"[sys.executable, '-c', base64.b64decode('{code}').decode(), {tail!r}.__repr__(), '4']"
    return f"import base64, subprocess, sys, time\nsubprocess.Popen({start})\ntime.sleep(1.5)\n{START['shop/price.py']}"


@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: repr(tail[:12]))
@pytest.mark.parametrize("check", CHECKS)
def test_code_that_answers_in_the_place_of_the_shell_does_not_pass(shop: Shop, python_sandbox: Definition, check: str, tail: bytes) -> None:
    gates = Gates(shop.root, shop.start, lambda: DockerSandbox.start(python_sandbox, loop="test-gate"))
    outcome = gates.grade((check,), shop.commit({"shop/price.py": forge_while_imported(tail)}))
    assert not outcome.passed
    assert outcome.reward <= 2 / 6
    assert outcome.failed


def test_a_command_gives_its_exit_code_and_both_its_streams_in_order(sandbox: DockerSandbox) -> None:
    result = sandbox.run_attested("echo out; echo err >&2; pwd; cat; exit 3", timeout=60)
    assert (result.exit_code, result.output, result.timed_out, result.omitted_bytes) == (3, "out\nerr\n/workspace\n", False, 0)


def test_a_command_has_the_surroundings_of_any_other(sandbox: DockerSandbox) -> None:
    look = "env | grep -Ev '^(_|SHLVL)=' | sort; umask; id; ulimit -a; nice; cat /proc/self/oom_score_adj"
    assert sandbox.run_attested(look, timeout=60).output == sandbox.run(look, timeout=60).output


def test_what_runs_past_the_time_limit_is_killed_with_all_that_it_started(sandbox: DockerSandbox) -> None:
    command = "echo so far; setsid sleep 300 & (trap '' TERM HUP; exec sleep 300) & sleep 300"
    result = run_past_its_limit(sandbox.run_attested, command)
    assert (result.exit_code, result.timed_out, result.output) == (124, True, "so far\n")
    assert result.seconds < 200
    assert sandbox.run("grep -lx sleep /proc/[0-9]*/comm", timeout=60).output == ""


def test_a_child_left_in_the_background_is_not_waited_for_and_stays(sandbox: DockerSandbox) -> None:
    first = sandbox.run_attested("(until [ -e go ]; do sleep 0.05; done; echo late >late) & echo early; exit 4", timeout=60)
    assert (first.exit_code, first.output) == (4, "early\n")
    assert sandbox.run_attested("touch go; until grep late late 2>/dev/null; do sleep 0.05; done", timeout=60).output == "late\n"


def test_a_command_that_is_killed_fails(sandbox: DockerSandbox) -> None:
    assert sandbox.run_attested("kill -KILL $$", timeout=60).exit_code == 137
    assert sandbox.run_attested("python3 -c 'import os; os.kill(-1, 9)'; exit 0", timeout=60).exit_code == 137
    assert sandbox.run_attested("tail /dev/zero", timeout=60).exit_code == 137


def test_killing_the_shell_changes_neither_the_code_nor_what_comes_after(sandbox: DockerSandbox) -> None:
    kill = "for shell in $(grep -lx bash /proc/[0-9]*/comm | cut -d/ -f3); do [ $shell = $$ ] || kill -KILL $shell; done"
    assert sandbox.run_attested(f"{kill}; exit 5", timeout=60).exit_code == 5
    assert sandbox.run_attested("echo on; exit 6", timeout=60).output == "on\n"


def test_a_fork_bomb_of_a_check_does_not_turn_the_next_into_a_pass(sandbox: DockerSandbox) -> None:
    assert sandbox.run_attested("perl -e 'fork while 1' & sleep 1; exit 4", timeout=5).exit_code in (4, 124)
    assert sandbox.run_attested("exit 7", timeout=60).exit_code in (7, 124)
    assert sandbox.run_attested("exit 8", timeout=60).exit_code == 8


def test_checks_are_run_and_read_where_every_process_is_taken(sandbox: DockerSandbox) -> None:
    sandbox.run("true", timeout=60)
    taking = "perl -e 'while (1) { my $p = fork; sleep 1000 if defined $p && !$p; select(undef, undef, undef, 0.0002) unless defined $p }'"
    assert sandbox.run_attested(f"{taking} & sleep 3; exit 4", timeout=60).exit_code == 4
    results = [sandbox.run_attested("echo seven; exit 7", timeout=60) for _ in range(20)]
    assert {(result.exit_code, result.output) for result in results} == {(7, "seven\n")}


@pytest.mark.parametrize(("failures", "code", "output"), [(1, 7, ""), (2, 126, "could not start the check")])
def test_a_check_that_the_engine_could_not_start_is_started_again(
    sandbox: DockerSandbox, monkeypatch: pytest.MonkeyPatch, failures: int, code: int, output: str
) -> None:
    """The engine's words are those of an exec for which there was no process. Where all are taken, this happens now and then."""
    words, inspect = [{"Running": False, "ExitCode": 126, "Pid": 0}] * failures, sandbox._client.exec_inspect
    monkeypatch.setattr(sandbox._client, "exec_inspect", lambda shell: words.pop() if words else inspect(shell))
    result = sandbox.run_attested("exit 7", timeout=60)
    assert result.exit_code == code
    assert output in result.output


def test_a_log_that_cannot_be_written_fails_the_command(sandbox: DockerSandbox) -> None:
    assert sandbox.run_attested("mkdir /output/000002.log", timeout=60).exit_code == 0
    assert sandbox.run_attested("true", timeout=60).exit_code == 1


def test_a_long_output_comes_back_as_its_two_ends(sandbox: DockerSandbox) -> None:
    whole = "".join(f"{number}\n" for number in range(1, 200001))
    result = sandbox.run_attested("seq 200000", timeout=60)
    assert result.output == whole[: MAX_OUTPUT // 2] + whole[-MAX_OUTPUT // 2 :]
    assert result.omitted_bytes == len(whole) - MAX_OUTPUT


@pytest.mark.parametrize("command", ["true\0", f": {'x' * 100_000}"], ids=["NUL", "long"])
def test_a_command_that_cannot_be_passed_on_fails_and_nothing_runs(sandbox: DockerSandbox, command: str) -> None:
    assert sandbox.run_attested(command, timeout=60).exit_code == 126


def test_a_closed_sandbox_says_so(sandbox: DockerSandbox) -> None:
    sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run_attested("true", timeout=1)
