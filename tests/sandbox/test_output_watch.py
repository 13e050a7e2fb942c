"""What a command has printed so far is told while it runs."""

import time

import pytest

from codagent.sandbox import output_watch
from codagent.sandbox.local import LocalSandbox
from codagent.sandbox.output_watch import END_BYTES, watch_output


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(output_watch, "PERIOD_S", 0.02)


def heard_while(command):
    heard = []
    sandbox = LocalSandbox(on_output=heard.append)
    try:
        sandbox.run(command, timeout=20)
    finally:
        sandbox.close()
    return heard


def test_the_output_so_far_is_told_and_the_rest_is_in_the_result():
    heard = heard_while("echo one; until [ -e go ]; do touch go; sleep 0.5; done; echo two")
    assert heard
    assert {*heard} <= {"one\n", "one\ntwo\n", ""}


@pytest.mark.parametrize("command", ["head -c 9000000 /dev/zero | tr '\\0' x; sleep 0.5", "printf '\\377\\033]52;c;aGk=\\007'; sleep 0.5"])
def test_of_a_long_or_hostile_output_the_end_is_told(command):
    heard = heard_while(command)
    assert heard
    assert max(map(len, heard)) <= END_BYTES


def test_an_output_that_cannot_be_read_is_not_told_and_disturbs_nothing(tmp_path):
    heard = []

    def looks():
        yield (tmp_path / "absent").read_text()

    with watch_output(looks(), heard.append):
        time.sleep(0.1)
    assert heard == []


def test_nothing_is_told_after_the_command():
    heard = []

    def looks():
        while True:
            time.sleep(0.1)
            yield "late"

    with watch_output(looks(), heard.append):
        time.sleep(0.05)
    time.sleep(0.2)
    assert heard == []
