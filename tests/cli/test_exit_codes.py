"""Every exit code of the installed command, with its sentence. The local sandbox serves where the sandbox is not what is tested."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.cli.conftest import CHECK, CODAGENT, FIX, IDLE, call
from tests.pace import Pace

LOCAL = ("--sandbox", "local")


def test_0_when_every_gate_passes(codagent, script):
    done = codagent("run", "mend it", "--model", script(FIX), "--check", CHECK, "--json", *LOCAL)
    result = json.loads(done.stdout)
    assert done.returncode == result["exit_code"] == 0
    assert (result["outcome"], result["passed"], result["claimed"], result["iterations"]) == ("passed", True, True, 1)


def test_0_when_the_agent_finishes_and_nothing_checks_it(codagent, script):
    done = codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    assert (done.returncode, done.stdout.splitlines()[2][:13]) == (0, "outcome: done")


def test_1_and_a_traceback_for_a_bug(codagent, script, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/git.py").write_text("1 / 0\n")
    done = codagent("run", "mend it", "--model", script(FIX), *LOCAL, PYTHONPATH=str(tmp_path / "broken"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "x", "--no-such-flag"], "No such option"),
        (["run", " "], "the task is empty"),
        (["run", "x", "--model", "nonsense"], "unknown model 'nonsense'"),
        (["run", "x", "--model", "http://127.0.0.1:1/v1#m", "--max-usd", "1"], "the price of"),
        (["run", "x", "--model", "scripted:absent.json"], "absent.json"),
        (["run", "x", "--sandbox", "pyhton"], "did you mean 'python'?"),
        (["models", "pull", "nonsense"], "there is no model 'nonsense'"),
        (["run", "x", "--max-tokens", "1e3"], "'1e3' is not a whole number of at least 1\n"),
        (["run", "x", "--max-steps", "0"], "'0' is not a whole number of at least 1\n"),
        (["run", "x", "--wait", "soon"], "'soon' is not a number of at least 0\n"),
    ],
)
def test_2_for_wrong_usage(codagent, script, arguments, said):
    done = codagent(*arguments, *(["--model", script(FIX)] if "--sandbox" in arguments else LOCAL if arguments[0] == "run" else []))
    assert done.returncode == 2
    assert said in done.stderr


def test_2_for_a_wrong_settings_file(codagent, script, repository):
    (repository / "codagent.toml").write_text("max_stepps = 3\n")
    done = codagent("run", "x", "--model", script(FIX), *LOCAL)
    assert (done.returncode, "did you mean 'max_steps'?" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", [["run", "x"], ["loop", "x", "--check", CHECK]])
def test_2_at_once_without_the_key_of_a_provider(codagent, repository, command):
    model = "openrouter/nobody/nothing"
    done = codagent(*command, "--model", model, *LOCAL, OPENROUTER_API_KEY="", OPENROUTER_API_BASE="", OR_API_KEY="")
    said = (
        f"codagent: {model} needs an API key, and the environment variable OPENROUTER_API_KEY is not set; set it, or take another model\n"
    )
    assert (done.returncode, done.stderr) == (2, said)
    assert not list(repository.glob(".codagent/loops/*"))


def test_3_when_a_gate_does_not_pass(codagent, script):
    done = codagent("run", "mend it", "--model", script(IDLE), "--check", CHECK, "--json", *LOCAL)
    result = json.loads(done.stdout)
    assert done.returncode == 3
    assert (result["outcome"], result["passed"], result["claimed"], result["branch"]) == ("failed", False, True, None)


def test_3_when_the_steps_are_over(codagent, script):
    done = codagent(
        "run", "x", "--model", script([call("bash", command=f"echo {n}") for n in range(9)]), "--max-steps", "3", "--json", *LOCAL
    )
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (3, "steps")


def test_4_within_30_seconds_when_the_endpoint_is_down(codagent):
    began = time.monotonic()
    with Pace() as pace:
        done = codagent("run", "x", "--model", "http://127.0.0.1:9/v1#m", *LOCAL)
    assert done.returncode == 4
    assert time.monotonic() - began < 30 + pace.slack
    assert "127.0.0.1:9/v1 refused the connection" in done.stderr


@pytest.mark.parametrize("checks", [[], ["--check", CHECK]])
def test_4_when_the_model_refuses(codagent, script, checks):
    refused = call("bash", command="echo right > answer.txt") | {"refusal": "content_filter (violence)"}
    done = codagent("run", "mend it", "--model", script([call("bash", command="ls"), refused]), *checks, "--json", *LOCAL)
    result = json.loads(done.stdout)
    assert (done.returncode, result["outcome"], result["branch"]) == (4, "refused", None)
    assert "refused to answer: content_filter (violence); say the task in other words, or take another model" in done.stderr


def test_5_when_no_engine_answers(codagent, script):
    done = codagent("run", "x", "--model", script(FIX), DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert done.returncode == 5
    assert "no docker engine answers" in done.stderr
    assert "DOCKER_HOST" in done.stderr


def test_6_when_it_is_not_a_repository(codagent, script, tmp_path):
    (tmp_path / "plain").mkdir()
    done = codagent("run", "x", "--model", script(FIX), *LOCAL, cwd=tmp_path / "plain")
    assert (done.returncode, "is not in a git repository" in done.stderr) == (6, True)


def test_6_when_a_change_does_not_apply_and_nothing_is_changed(codagent, script, repository):
    codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    (repository / "answer.txt").write_text("something else\n")
    done = codagent("apply")
    assert (done.returncode, "changed the same lines of answer.txt" in done.stderr) == (6, True)
    assert (repository / "answer.txt").read_text() == "something else\n"


def test_7_for_a_damaged_record(codagent, script, repository):
    codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    record = next(repository.glob(".codagent/loops/*/record.jsonl"))
    record.write_text(record.read_text().replace('"schema":', '"schema":9'))
    done = codagent("show")
    assert (done.returncode, "has schema 9" in done.stderr) == (7, True)


def test_7_when_there_is_no_such_loop(codagent):
    done = codagent("diff", "nonsense")
    assert (done.returncode, "there is no session, run or loop nonsense" in done.stderr) == (7, True)


def test_8_when_a_limit_would_be_passed(codagent, script):
    done = codagent("run", "x", "--model", script(FIX), "--max-tokens", "100", "--json", *LOCAL)
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (8, "tokens")
    assert "--max-tokens raises the limit" in done.stderr


def test_130_when_interrupted_and_the_record_is_whole(repository, script, codagent, tmp_path):
    model = script([call("bash", command="echo begun"), call("bash", command="sleep 60")])
    running = subprocess.Popen(
        [CODAGENT, "run", "x", "--model", model, *LOCAL],
        cwd=repository,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert any(b"echo begun" in line for line in running.stderr)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    assert running.wait(120) == 130
    assert json.loads(codagent("list", "--json").stdout)[0]["outcome"] == "interrupted"
    assert codagent("show").stdout.endswith("\noutcome: interrupted\n")


def test_a_verdict_of_an_earlier_command_is_told_as_old(codagent, script):
    first = codagent("run", "x", "--model", script(FIX), "--check", CHECK, *LOCAL)
    second = codagent("run", "x", "--model", script(FIX), "--check", CHECK, *LOCAL)
    old = "checks: passed, as an earlier command judged the same files"
    assert (old in first.stderr, old in second.stderr) == (False, True)
    assert old in codagent("show").stdout
