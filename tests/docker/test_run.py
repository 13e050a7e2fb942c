"""`codagent run` as it is used: the installed command, a Docker sandbox, a second one for the gates."""

import json
import os
import signal
import subprocess

import pytest

from tests.cli.conftest import CHECK, CODAGENT, FIX, call, codagent, repository, script
from tests.cli.loops import record_of

pytestmark = pytest.mark.docker
__all__ = ["codagent", "repository", "script"]


@pytest.fixture(autouse=True)
def image(python_sandbox):
    """Every test here needs it."""


def test_a_bug_is_mended_in_docker_and_judged_in_a_second_container(codagent, script, repository, wait_until_gone):
    done = codagent("run", "mend it", "--model", script(FIX), "--check", CHECK, "--check", "test $(id -u) = 1000", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["outcome"]) == (0, "passed")
    shown = subprocess.run(["git", "show", f"{result['branch']}:answer.txt"], cwd=repository, capture_output=True, text=True, check=True)
    assert shown.stdout == "right\n"
    assert wait_until_gone(result["id"])


def test_what_the_agent_leaves_outside_of_the_repository_does_not_reach_the_gates(codagent, script):
    cheat = [
        call("bash", command="echo right > /tmp/answer; echo right > answer.txt; git update-index --assume-unchanged answer.txt"),
        *FIX[1:],
    ]
    done = codagent("run", "x", "--model", script(cheat), "--check", "test -e /tmp/answer", "--json")
    assert json.loads(done.stdout)["passed"] is False


def test_a_poisoned_repository_coming_back_runs_nothing_here(codagent, script, repository, tmp_path):
    mark = tmp_path / "executed"
    poison = f"""
        for hook in post-checkout reference-transaction pre-commit; do printf '#!/bin/sh\\ntouch {mark}\\n' > .git/hooks/$hook; done
        chmod +x .git/hooks/*
        git config core.fsmonitor 'touch {mark}'; git config filter.evil.clean 'touch {mark}'; git config filter.evil.smudge 'touch {mark}'
        git config diff.external 'touch {mark}'; git config core.sshCommand 'touch {mark}'
        echo '* filter=evil diff=evil' > .gitattributes; echo right > answer.txt
    """
    steps = [call("bash", command=poison), call("finish", summary="$(touch /tmp/x) `id`")]
    assert codagent("run", "x", "--model", script(steps), "--check", CHECK).returncode == 0
    assert codagent("diff").returncode == codagent("apply").returncode == 0
    assert (repository / "answer.txt").read_text() == "right\n"
    assert not mark.exists()
    assert "evil" not in (repository / ".git/config").read_text()
    assert not (repository / ".git/hooks/post-checkout").exists()


def test_a_killed_run_leaves_a_whole_record_and_no_container(repository, script, codagent, wait_until_gone, tmp_path):
    model = script([call("bash", command="echo begun"), call("bash", command="sleep 60")])
    environment = os.environ | {"HOME": str(tmp_path)}
    running = subprocess.Popen(
        [CODAGENT, "run", "x", "--model", model], cwd=repository, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    assert any(b"echo begun" in line for line in running.stderr)
    running.send_signal(signal.SIGKILL)
    running.wait(120)
    listed = json.loads(codagent("list", "--json").stdout)[0]
    assert listed["outcome"] == "interrupted"
    assert wait_until_gone(listed["id"])


def test_set_up_of_a_repository_runs_once_with_its_tools(codagent, script, repository):
    (repository / "codagent.toml").write_text('[sandbox]\nsetup = "cat /proc/sys/kernel/random/uuid > /opt/ready"\n')
    assert codagent("run", "x", "--model", script(FIX)).returncode == 2
    assert codagent("sandbox", "allow").returncode == 0
    steps = [call("bash", command="cat /opt/ready"), *FIX]
    first = codagent("run", "x", "--model", script(steps), "--check", "cat /opt/ready", "--json")
    assert json.loads(first.stdout)["passed"] is True, first.stderr
    again = codagent("run", "x", "--model", script(steps), "--check", "cat /opt/ready", "--json")
    shown = [record_of(done).attempts[0].steps[0].observation.messages[0].content for done in (first, again)]
    assert shown[0] == shown[1]
    assert "build" not in again.stderr


def test_a_replay_in_a_fresh_container_is_the_same(codagent, script):
    codagent("run", "mend it", "--model", script(FIX))
    done = codagent("replay")
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "the same"), done.stdout


def test_sandbox_check_proves_every_line(codagent):
    done = codagent("sandbox", "check", "python")
    assert (done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("yes ")]) == (0, [])


def test_a_repository_that_the_agent_made_stays_behind_by_name_and_the_rest_comes_out(codagent, script, repository):
    nested = [call("bash", command="mkdir sub && cd sub && git init -q && touch f && git add f && git commit -qm x"), *FIX]
    done = codagent("run", "x", "--model", script(nested), "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["outcome"], "left behind in the sandbox: sub" in done.stderr) == (0, "done", True), done.stderr
    listing = ["git", "ls-tree", "-r", "--name-only", result["branch"]]
    assert subprocess.run(listing, cwd=repository, capture_output=True, text=True, check=True).stdout == "answer.txt\n"


def test_work_that_cannot_be_brought_back_is_an_outcome_and_on_record(codagent, script):
    too_much = [call("bash", command="for i in $(seq 40); do head -c 7M /dev/urandom >$i; done"), *FIX]  # each file could come out
    done = codagent("run", "x", "--model", script(too_much), "--json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (6, "repository")
    assert json.loads(codagent("list", "--json").stdout)[0]["outcome"] == "repository"


def test_compiled_files_do_not_come_back(codagent, script, repository):
    (repository / "m.py").write_text("x = 1\n")
    result = json.loads(codagent("run", "x", "--model", script([call("bash", command="python3 -c 'import m'; ls"), *FIX]), "--json").stdout)
    tree = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", result["branch"]], cwd=repository, capture_output=True, text=True, check=True
    )
    assert tree.stdout.split() == ["answer.txt", "m.py"]
