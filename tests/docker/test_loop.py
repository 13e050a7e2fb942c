"""`codagent loop` with the installed command in Docker: an engine that goes away, and what is left of containers."""

import json
import threading
import time
from contextlib import contextmanager, suppress

import docker
import pytest

from tests.cli.conftest import CHECK, call, codagent, repository, script
from tests.cli.loops import Started, attempt, kinds, noted, record_of, told, tries
from tests.pace import Pace

pytestmark = pytest.mark.docker
__all__ = ["codagent", "repository", "script"]

LOOP = ("loop", "mend it", "--check", CHECK, "--rewrite", "always")
WHOLE = [("solve", 0), ("notes", 0), ("solve", 1), ("notes", 1)]


@pytest.fixture(autouse=True)
def image(python_sandbox):
    """Every test here needs it."""


@pytest.fixture
def slow():
    """Replies whose second attempt goes on when its container has the file `/tmp/go`."""
    wait = call("bash", command="echo waiting; until [ -e /tmp/go ]; do sleep 0.1; done")
    return [*tries("1"), wait, *attempt("right"), noted("after 2")]


@contextmanager
def let_go_on(client, loop):
    """Make the file `/tmp/go` in each container of a loop."""
    ended = threading.Event()

    def work():
        while not ended.wait(0.1):
            for container in client.containers(filters={"label": [f"codagent.loop={loop}"]}):
                with suppress(docker.errors.APIError):  # it does not run yet, or any more
                    client.exec_start(client.exec_create(container["Id"], ["touch", "/tmp/go"], user="1000")["Id"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_attempts_and_gates_have_a_container_each_and_none_is_left(codagent, script, repository, wait_until_gone):
    secret = [call("bash", command="touch /tmp/left; ls /tmp/left; echo 1 > answer.txt"), call("finish", summary="x"), noted("n")]
    look = [call("bash", command="ls /tmp/left || echo clean"), *attempt("right"), noted("n")]
    done = codagent(*LOOP, "--check", "test ! -e /tmp/left", "--model", script([*secret, *look]), "--json")
    second = [one for one in record_of(done).episodes if one.kind == "solve"][1]
    assert (done.returncode, told(done)["iterations"]) == (0, 2), done.stderr
    assert second.steps[0].observation.messages[0].content.endswith("clean")
    assert wait_until_gone(told(done)["id"])


def test_5_when_the_engine_goes_away_and_the_loop_goes_on_when_it_is_back(codagent, script, repository, slow, client, wait_until_gone):
    running = Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:")
    record = next(repository.glob(".codagent/loops/*/record.jsonl"))
    while b"waiting" not in record.read_bytes():
        time.sleep(0.05)
    for container in client.containers(filters={"label": [f"codagent.loop={record.parent.name}"]}):
        with suppress(docker.errors.APIError):  # that of the gates is being removed, or just was
            client.kill(container["Id"])
    assert running.code() == 5
    listed = json.loads(codagent("list", "--json").stdout)[0]
    assert (listed["outcome"], listed["iterations"]) == ("sandbox", 1)
    with let_go_on(client, record.parent.name):
        done = codagent("loop", "--resume", record.parent.name, "--json")
    assert (done.returncode, kinds(record_of(done))) == (0, WHOLE), done.stderr
    assert [len(episode.steps) for episode in record_of(done).episodes] == [2, 1, 3, 1]
    assert wait_until_gone(record.parent.name)


def test_the_first_that_passes_ends_the_containers_of_the_others(codagent, script, wait_until_gone):
    items = [call("bash", command="sleep $((RANDOM % 20))"), *attempt("right"), noted("n")]
    with Pace() as pace:
        done = codagent(*LOOP, "--model", script(items), "--group", "4", "--jobs", "4", "--json")
    result = told(done)
    assert (done.returncode, result["outcome"]) == (0, "passed"), done.stderr
    assert {member["outcome"] for member in result["loops"]} <= {"passed", "interrupted"}
    assert all(wait_until_gone(member["id"]) for member in result["loops"])
    assert result["seconds"] < 40 + pace.slack
