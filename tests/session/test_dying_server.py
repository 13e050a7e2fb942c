"""A model server that dies in the middle of a streamed turn, and comes back: nothing of the session is lost."""

import json

import pytest

from codagent.cli.session.view.ink import Ink
from codagent.cli.session.view.view import View
from codagent.repository import git
from codagent.runner.spec import Person
from codagent.session.opening import begin, resume
from codagent.types import Limits
from tests.models.dying_server import DyingServer
from tests.models.loopback import Answer
from tests.session.place import SECRET

MEND = Answer(calls=[("edit", json.dumps({"path": "answer.txt", "old": "wrong", "new": "right"}))])
MORE = Answer("Now more.", calls=[("bash", json.dumps({"command": "echo more >> answer.txt"}))])
DONE = Answer("It is mended, and this is a long sentence about it.")
AGAIN = Answer("Nothing else.")


@pytest.fixture
def view():
    return View(Ink(color=False))


@pytest.fixture
def talk(place, view):
    """Begins a session with the model of a server, which is waited for so many seconds."""

    def run(server, wait):
        options = place.options(display=view, model=f"{server.url}#m", limits=Limits(wait=wait))
        return place.keep(begin(options))

    return run


def work_of(session):
    return git.read_file(session.runner.root, session.history.commit, "answer.txt").decode()


@pytest.mark.parametrize(("request_", "events"), [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)])
def test_a_turn_whose_server_comes_back_in_time_goes_on_as_if_nothing_had_happened(talk, capsys, request_, events):
    """Dead before the first piece, in the arguments of a call, in a text before a call, and in the answer."""
    with DyingServer([MEND, MORE, DONE, AGAIN], {request_: events}, back_s=0.3) as server:
        session = talk(server, wait=60.0)
        turn = session.ask("mend it")
        assert (turn.end, turn.steps[-1].reply.message.content) == ("finished", DONE.text)
        assert (work_of(session), len(turn.steps), len(server.requests)) == ("right\nmore\n", 3, 4)
        assert session.ask("else?").steps[-1].reply.message.content == "Nothing else."
    printed = capsys.readouterr().out
    assert (printed.count(DONE.text), "asking" in printed) == (1, True)


def test_a_turn_whose_server_stays_away_is_told_in_a_sentence_and_the_next_one_works(talk, view, capsys):
    with DyingServer([MEND, MORE, DONE, AGAIN], {1: 3}) as server:
        session = talk(server, wait=0.3)
        turn = session.ask("mend it")
        assert (turn.end, len(turn.steps), work_of(session)) == ("model", 1, "right\n")
        assert capsys.readouterr().out.endswith(f"\n{turn.cause}; Enter tries again\n")
        assert ("refused the connection" in turn.cause, "\n" in turn.cause) == (True, False)
        lost = view.meter.broken_off().tokens
        server.come_back()
        assert session.ask("").end == "finished"
        assert (work_of(session), view.meter.broken_off().tokens) == ("right\nmore\n", lost)
        assert lost > 0
        asked = server.requests[-1]["messages"]
        assert [message["role"] for message in asked[2:]] == ["assistant", "tool", "user", "assistant", "tool"]
        assert session.ask("else?").steps[-1].reply.message.content == "Nothing else."


def test_a_session_that_is_left_while_its_server_is_away_goes_on_with_it_later(talk, place, view):
    with DyingServer([MEND, DONE, AGAIN], {1: 2}) as server:
        session = talk(server, wait=0.3)
        assert session.ask("mend it").end == "model"
        session.close()
        server.come_back()
        options = place.options(display=view, limits=Limits(wait=0.3))
        again = place.keep(resume(options, session.id, Person(options.settings, SECRET, view.say)))
        turn = again.ask("")
        assert (turn.end, work_of(again)) == ("finished", "right\n")
        assert again.history.turns[0].cause


def test_a_summary_whose_server_dies_is_replaced_by_the_turns_in_short(talk):
    with DyingServer([MEND, DONE, DONE, AGAIN], {2: 2}) as server:
        session = talk(server, wait=0.3)
        session.ask("mend it")
        assert "The person: mend it" in session.compact()
        server.come_back()
        assert session.ask("sure?").end == "finished"
        assert work_of(session) == "right\n"
