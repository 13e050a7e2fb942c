"""How long a model that fails is asked again, as the command line says it."""

import json
import signal
import time

import pytest

from tests.cli.conftest import CHECK
from tests.cli.loops import LOCAL, LOOP, Started, record_of, told
from tests.models.loopback import Answer, refusal, serve
from tests.pace import Pace

RUN = ("run", "mend it", *LOCAL)


def until_asked(server):
    """Wait for the first request."""
    while not server.requests:
        time.sleep(0.05)


@pytest.mark.parametrize("command", [RUN, LOOP])
def test_without_a_wait_a_busy_model_is_asked_once(codagent, command):
    with serve(refusal(503, "busy")) as server:
        done = codagent(*command, "--model", f"{server.url}#m", "--wait", "0", "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["iterations"], len(server.requests)) == (4, "model", 0, 1)
    assert "keeps failing (503): busy" in done.stderr


def test_a_wait_uses_up_no_step_and_no_iteration(codagent):
    writes = Answer(calls=[("bash", json.dumps({"command": "echo right > answer.txt"}))])
    finishes = Answer(calls=[("finish", json.dumps({"summary": "done"}))])
    with serve(writes, *[refusal(529, "Overloaded")] * 3, finishes) as server:
        done = codagent(*LOOP, "--model", f"{server.url}#m", "--rewrite", "never", "--max-steps", "2", "--iterations", "1", "--json")
    assert (done.returncode, told(done)["iterations"]) == (0, 1)
    assert [len(attempt.steps) for attempt in record_of(done).attempts] == [2]


@pytest.mark.parametrize("command", [RUN, LOOP])
def test_an_interrupt_ends_a_wait_at_once(repository, command):
    with serve(refusal(429, "slow down", retry_after="60")) as server:
        running = Started(repository, *command, "--model", f"{server.url}#m", "--wait", "600")
        until_asked(server)
        began = time.monotonic()
        with Pace() as pace:
            assert running.end(signal.SIGINT) == 130
    assert time.monotonic() - began < 5 + pace.slack


def test_a_limit_of_time_ends_a_wait(codagent):
    with serve(refusal(429, "slow down", retry_after="60")) as server:
        done = codagent(*LOOP, "--model", f"{server.url}#m", "--max-seconds", "2", "--json")
    assert (done.returncode, told(done)["outcome"]) == (8, "seconds")


def test_the_wait_is_kept_in_the_record_and_a_flag_replaces_it(codagent):
    with serve(refusal(503, "busy")) as server:
        done = codagent(*RUN, "--model", f"{server.url}#m", "--check", CHECK, "--json", CODAGENT_WAIT="0")
        asked = len(server.requests)
        again = codagent("loop", "--resume", told(done)["id"], *LOCAL, "--wait", "0.1", "--json")
    assert record_of(done).settings["limits"]["wait"] == 0
    assert (again.returncode, asked, len(server.requests) > 2) == (4, 1, True)


def test_a_repository_may_not_raise_the_wait(codagent, repository):
    (repository / "codagent.toml").write_text("wait = 121\n")
    with serve(refusal(401, "no")) as server:
        done = codagent(*RUN, "--model", f"{server.url}#m", "--json")
    assert "may lower your limits, not raise them; ignored: wait" in done.stderr
    assert record_of(done).settings["limits"]["wait"] == 120


def test_a_loop_that_is_refused_again_and_again_ends_as_one_without_progress(codagent, script):
    refused = [{"refusal": "content_filter"}] * 9
    done = codagent(*LOOP, "--model", script(refused), "--rewrite", "never", "--patience", "3", "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["iterations"]) == (9, "stalled", 3)
    assert [attempt.end for attempt in record_of(done).attempts] == ["refused"] * 3
