"""What a command has printed so far is told while it runs."""

import threading
from contextlib import closing

import pytest

from codagent.sandbox import output_watch
from codagent.sandbox.local import LocalSandbox
from codagent.sandbox.output_watch import END_BYTES, watch_output


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(output_watch, "PERIOD_S", 0.02)


@pytest.fixture
def heard_while(tmp_path):
    """Runs a command and returns what was told meanwhile. The command waits at WAIT until some text was told."""
    mark = tmp_path / "told"

    def run(command):
        heard = []

        def hear(text):
            heard.append(text)
            if text:
                mark.touch()

        with closing(LocalSandbox(on_output=hear)) as sandbox:
            done = sandbox.run(command.replace("WAIT", f"until [ -e {mark} ]; do sleep 0.02; done"), timeout=120)
        assert done.exit_code == 0
        return heard

    return run


def test_the_output_so_far_is_told_and_the_rest_is_in_the_result(heard_while):
    heard = heard_while("echo one; WAIT; echo two")
    assert heard
    assert {*heard} <= {"one\n", "one\ntwo\n", ""}


@pytest.mark.parametrize("printed", ["head -c 9000000 /dev/zero | tr '\\0' x", "printf '\\377\\033]52;c;aGk=\\007'"])
def test_of_a_long_or_hostile_output_the_end_is_told(heard_while, printed):
    heard = heard_while(f"{printed}; WAIT")
    assert heard
    assert max(map(len, heard)) <= END_BYTES


def find_watcher():
    return next((thread for thread in threading.enumerate() if thread.name == "output"), None)


def test_an_output_that_cannot_be_read_is_not_told_and_disturbs_nothing(tmp_path):
    heard = []

    def looks():
        yield (tmp_path / "absent").read_text()

    with watch_output(looks(), heard.append):
        if watcher := find_watcher():  # it ends by itself
            watcher.join()
    assert heard == []


def test_nothing_is_told_after_the_command():
    heard, looking, ended = [], threading.Event(), threading.Event()

    def looks():
        looking.set()
        ended.wait()
        yield "late"

    with watch_output(looks(), heard.append):
        looking.wait()
        watcher = find_watcher()
    ended.set()
    watcher.join()
    assert heard == []
