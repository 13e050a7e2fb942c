"""The input line, with keys that come from a pipe."""

import queue
import time

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import DummyCompleter
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from codagent.cli.session.input.screen import Listener, Screen


@pytest.fixture
def keys():
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.fixture
def lines(keys, tmp_path):
    """Opens an input line whose first drawing takes so many seconds, and gives the queue of the lines that are sent."""
    heard = queue.SimpleQueue()
    listener = Listener(lambda line, _: heard.put(line), lambda: False, lambda: None, lambda: None)
    opened = []

    def start(seconds=0.0):
        waits = [seconds]

        def draw():
            time.sleep(waits.pop() if waits else 0)
            return []

        history = tmp_path / "history/lines"
        opened.append(Screen(listener, live=draw, status=str, completer=DummyCompleter(), history=history, color=False))
        opened[0].start()
        return heard

    yield start
    opened[0].stop()


@pytest.mark.parametrize(("typed", "sent"), [("hello\n", ["hello"]), ("one\ntwo\n", ["one", "two"]), ("one\n\ntwo\n", ["one", "", "two"])])
def test_lines_that_were_typed_before_are_sent_however_long_the_start_takes(keys, lines, typed, sent):
    keys.send_text(typed)
    heard = lines(seconds=1.2)
    assert [heard.get(timeout=120) for _ in sent] == sent


def test_a_line_end_that_is_typed_later_is_part_of_the_line(keys, lines):
    keys.send_text("first\n")
    heard = lines()
    assert heard.get(timeout=120) == "first"
    keys.send_text("one\ntwo\r")
    assert heard.get(timeout=120) == "one\ntwo"
