"""What goes between a session's work and the person's files."""

import subprocess

import pytest

from codagent.repository import git
from codagent.session.exchange import accept, follow, make_branch, start_over, undo
from tests.session.place import call

MEND = call("edit", path="answer.txt", old="wrong", new="right")
LOOK = call("bash", command="cat answer.txt other.txt")
MORE = call("write", path="other.txt", content="more\n")


def told(session):
    """What the model was told last, and what the files were when it looked."""
    turn = session.ask("look")
    return turn.prompt[-1].content, turn.steps[0].observation.messages[0].content


def test_accepted_work_is_in_the_files_and_is_not_offered_again(place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    assert accept(session) == ()
    assert ((place.root / "answer.txt").read_text(), session.history.change()) == ("right\n", None)
    text, seen = told(session)
    assert (text.startswith("(The person has accepted your changes."), "right" in seen) == (True, True)


def test_a_part_is_accepted_and_the_rest_is_still_offered(place):
    session = place.begin(MEND, MORE, "Done.")
    session.ask("mend it")
    assert accept(session, {"other.txt": None}) == ()
    assert ((place.root / "answer.txt").read_text(), (place.root / "other.txt").read_text()) == ("wrong\n", "more\n")
    assert [file.path for file in git.list_changed(place.root, *session.history.change())] == ["answer.txt"]


def test_what_was_taken_back_is_offered_again_and_the_work_stays(place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    accept(session)
    assert undo(session).paths == ("answer.txt",)
    assert follow(session) == ()
    assert [file.path for file in git.list_changed(place.root, *session.history.change())] == ["answer.txt"]
    assert "right" in told(session)[1]


@pytest.mark.parametrize("followed", [False, True], ids=["since the last turn", "that the agent has"])
def test_edits_beside_what_is_taken_back_are_no_work_of_the_agent(followed, place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    accept(session)
    (place.root / "other.txt").write_text("mine\n")
    if followed:
        assert follow(session) == ()
    undo(session)
    assert follow(session) == ()
    assert [file.path for file in git.list_changed(place.root, *session.history.change())] == ["answer.txt"]
    assert told(session)[1] == "exit 0\nright\nmine"
    assert accept(session) == ()
    assert ((place.root / "answer.txt").read_text(), (place.root / "other.txt").read_text()) == ("right\n", "mine\n")


def test_edits_of_the_person_are_seen_beside_the_work(place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    (place.root / "other.txt").write_text("mine\n")
    assert follow(session) == ()
    text, seen = told(session)
    assert "have these edits, too: other.txt" in text
    assert seen == "exit 0\nright\nmine"
    assert [file.path for file in git.list_changed(place.root, *session.history.change())] == ["answer.txt"]


def test_edits_in_the_same_place_are_named_and_both_sides_stay(place):
    session = place.begin(MEND, "Done.")
    session.ask("mend it")
    (place.root / "answer.txt").write_text("mine\n")
    assert (follow(session), accept(session)) == (("answer.txt",), ("answer.txt",))
    assert (place.root / "answer.txt").read_text() == "mine\n"
    assert git.read_file(place.root, session.history.commit, "answer.txt") == b"right\n"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_resumed_session_knows_what_is_accepted(place, accepted):
    session = place.begin(MEND, "Done.")
    session.ask("mend it")
    if accepted:
        accept(session)
    session.close()
    again = place.resume(replies=["Hello."])
    again.open()
    assert (again.history.change() is None) == accepted
    assert follow(again) == ()


def test_a_conflict_is_settled_by_markers(place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    (place.root / "answer.txt").write_text("mine\n")
    assert accept(session) == ("answer.txt",)
    assert accept(session, markers=True) == ("answer.txt",)
    both = (place.root / "answer.txt").read_text()
    assert ("<<<<<<<" in both, "mine" in both, "right" in both) == (True, True, True)
    assert follow(session) == ()
    assert (session.history.change(), "<<<<<<<" in told(session)[1]) == (None, True)
    undo(session)
    assert (place.root / "answer.txt").read_text() == "mine\n"


def test_a_conflict_is_settled_by_a_branch(place):
    session = place.begin(MEND, "Done.")
    session.ask("mend it")
    (place.root / "answer.txt").write_text("mine\n")
    branch = make_branch(session)
    assert git.read_file(place.root, branch, "answer.txt") == b"right\n"
    assert (place.root / "answer.txt").read_text() == "mine\n"


def test_a_conflict_is_settled_by_another_try_on_the_files_as_they_are(place):
    session = place.begin(MEND, "Done.", LOOK, "Seen.")
    session.ask("mend it")
    (place.root / "answer.txt").write_text("mine\n")
    start_over(session)
    text, seen = told(session)
    assert (text.startswith("(The person has edited the same lines meanwhile."), "mine" in seen) == (True, True)
    assert (session.history.change(), follow(session)) == (None, ())


def test_a_submodule_that_the_person_moves_on_is_seen_beside_the_work(place):
    vendor = place.root / "vendor"
    run_git(place.root, "init", "-q", "vendor")
    commit_file(vendor, "value.h", "42\n")
    run_git(place.root, "add", "-A")
    run_git(place.root, "commit", "-qm", "with vendor")
    cheat = call("bash", command="cat vendor/value.h; echo 43 >vendor/value.h")
    session = place.begin(cheat, MEND, "Done.", call("bash", command="cat vendor/value.h answer.txt"), "Seen.")
    session.ask("mend it")
    assert "left behind in the sandbox: vendor/value.h; what is in a submodule does not come out" in place.said
    commit_file(vendor, "value.h", "44\n")
    assert follow(session) == ()
    assert told(session)[1] == "exit 0\n44\nright"
    assert accept(session) == ()
    assert ((place.root / "answer.txt").read_text(), (vendor / "value.h").read_text()) == ("right\n", "44\n")


def commit_file(root, path, text):
    (root / path).write_text(text)
    run_git(root, "add", "-A")
    run_git(root, "commit", "-qm", text)


def run_git(root, *command):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True, capture_output=True)
