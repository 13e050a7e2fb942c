"""The record of a session is one like any other for the commands on records, and no loop to go on with."""

import json

import pytest

from codagent.session.exchange import accept
from tests.session.place import Place, call

MEND = call("edit", path="answer.txt", old="wrong", new="right")


@pytest.fixture
def session_id(repository, tmp_path):
    """The id of a session of two turns, of which the first changed a file."""
    place = Place(repository, tmp_path)
    session = place.begin(MEND, "Mended.", "Nothing else.")
    for text in ("mend it", "anything else?"):
        session.ask(text)
    session.run_command("true")
    place.close()
    return session.id


def test_it_is_listed_shown_and_compared(codagent, session_id, repository):
    (row,) = json.loads(codagent("list", "--json").stdout)
    assert (row["id"], row["outcome"], row["iterations"]) == (session_id, "done", 2)  # a person's command is no turn
    shown = codagent("show", session_id)
    assert (shown.returncode, "mend it" in shown.stdout, "Nothing else." in shown.stdout) == (0, True, True)
    assert "\n════ turn 2\ntask:    anything else?\n" in shown.stdout
    assert ("\n(The person ran `true` in the sandbox: exit 0)\n" in shown.stdout, "turn 3" in shown.stdout) == (True, False)
    assert "+right" in codagent("diff", session_id).stdout
    report = codagent("report", session_id)
    page = (repository / ".codagent/loops" / session_id / "report.html").read_text()
    assert (report.returncode, "2 turns" in page, "tasks passed" in page, "The person ran" in page) == (0, True, False, False), (
        report.stderr
    )
    replayed = codagent("replay", session_id)
    assert (replayed.returncode, f"{session_id} is a session" in replayed.stderr) == (2, True)


def test_it_is_applied_and_taken_back(codagent, session_id, repository):
    done = codagent("apply", session_id)
    assert (done.returncode, (repository / "answer.txt").read_text()) == (0, "right\n"), done.stderr
    assert codagent("undo").returncode == 0
    assert (repository / "answer.txt").read_text() == "wrong\n"


def test_no_loop_goes_on_with_it(codagent, session_id):
    done = codagent("loop", "--resume", session_id, "--sandbox", "local", "--model", "embedded")
    assert (done.returncode, f"codagent session --resume {session_id}" in done.stderr) == (2, True), done.stderr


def test_it_is_removed(codagent, session_id, repository):
    assert codagent("clean", session_id).returncode == 0
    assert not (repository / ".codagent/loops" / session_id).exists()


def test_a_session_needs_a_terminal(codagent):
    done = codagent("session")
    assert (done.returncode, "needs a terminal" in done.stderr) == (2, True)


def test_what_a_session_accepted_is_taken_back_by_the_command(codagent, repository, tmp_path):
    place = Place(repository, tmp_path)
    session = place.begin(MEND, "Mended.")
    session.ask("mend it")
    accept(session)
    place.close()
    assert (repository / "answer.txt").read_text() == "right\n"
    assert codagent("undo").returncode == 0
    assert (repository / "answer.txt").read_text() == "wrong\n"
