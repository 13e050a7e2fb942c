"""A session in a container."""

import signal
import threading
import time

import pytest

from codagent.repository import git
from tests.session.place import Place, call, make_repository

pytestmark = pytest.mark.docker


@pytest.fixture
def place(tmp_path, python_sandbox):
    made = Place(make_repository(tmp_path / "repository"), tmp_path)
    yield made
    made.close()


def interrupt_when(there):
    """Interrupt this process when `there` says so, as Ctrl-C does."""
    main = threading.main_thread().ident

    def wait():
        deadline = time.monotonic() + 60
        while not there() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)  # until the command runs
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def test_a_command_is_stopped_and_the_container_goes_on_with_its_files(place):
    session = place.begin(
        call("bash", command="echo begun > begun.txt; sleep 120"), call("bash", command="cat begun.txt"), "There.", sandbox="python"
    )
    session.open()
    record = place.loops / session.id / "record.jsonl"
    interrupt_when(lambda: record.is_file() and "sleep 120" in record.read_text())
    began = time.monotonic()
    assert session.ask("wait").end == "interrupted"
    assert time.monotonic() - began < 60
    assert "begun" in session.ask("what is there?").steps[0].observation.messages[0].content
    assert "begun.txt" in git.list_files(place.root, session.history.commit)


def test_what_a_turn_has_started_still_runs_in_the_next(place):
    serve = call("bash", command="(while true; do date +%N > beat; sleep 0.1; done) >/dev/null 2>&1 & echo started")
    look = call("bash", command="a=$(cat beat); sleep 0.5; b=$(cat beat); [ $a != $b ] && echo alive")
    session = place.begin(serve, "It runs.", look, "It is alive.", sandbox="python")
    session.ask("start it")
    assert "alive" in session.ask("is it alive?").steps[0].observation.messages[0].content
