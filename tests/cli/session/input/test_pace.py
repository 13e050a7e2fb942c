"""A function is called at once, and then not too often."""

import pytest

from codagent.cli.session.input.pace import Pace


class Loop:
    """An event loop whose time passes when it is told to."""

    def __init__(self):
        self.now, self._due = 100.0, []

    def time(self):
        return self.now

    def call_soon_threadsafe(self, call, *arguments):
        call(*arguments)

    def call_later(self, delay, call, *arguments):
        self._due.append((self.now + delay, call, arguments))
        self.pass_time(0.0)

    def pass_time(self, seconds):
        self.now += seconds
        due, self._due = self._due, []
        for at, call, arguments in due:
            if at <= self.now:
                call(*arguments)
            else:
                self._due.append((at, call, arguments))


@pytest.fixture
def loop():
    return Loop()


def test_the_first_call_is_at_once_and_the_next_when_it_is_time(loop):
    drawn = []
    pace = Pace(lambda: drawn.append(loop.now), 0.5)
    pace.ask(loop)
    assert drawn == [100.0]
    loop.pass_time(0.25)
    pace.ask(loop)
    pace.ask(loop)
    assert drawn == [100.0]
    loop.pass_time(0.25)
    assert drawn == [100.0, 100.5]


def test_after_a_rest_a_call_is_at_once_again(loop):
    drawn = []
    pace = Pace(lambda: drawn.append(loop.now), 0.5)
    for _ in range(3):
        pace.ask(loop)
        loop.pass_time(2.0)
    assert drawn == [100.0, 102.0, 104.0]


def test_many_pieces_are_few_calls_and_the_last_piece_is_never_left_out(loop):
    pieces, drawn = [], []
    pace = Pace(lambda: drawn.append(len(pieces)), 0.5)
    for number in range(64):
        pieces.append(number)
        pace.ask(loop)
        loop.pass_time(0.0625)
    loop.pass_time(1.0)
    assert (len(drawn), drawn[0], drawn[-1]) == (9, 1, 64)
