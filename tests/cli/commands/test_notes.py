"""What `codagent notes` shows of a loop, and the way back."""

import pytest

from tests.cli.loops import LOOP, attempt, noted, record_of, tries


@pytest.fixture
def loop(codagent, script, repository):
    """One of two attempts, which began with notes."""
    (repository / ".codagent").mkdir()
    (repository / ".codagent/notes.md").write_text("from before\n")
    return record_of(codagent(*LOOP, "--model", script(tries("1", "right")), "--json"))


@pytest.mark.parametrize(("at", "expected"), [("0", "from before"), ("1", "after 1"), ("2", "after 2"), (None, "after 2")])
def test_notes_are_shown_as_an_iteration_left_them(codagent, loop, at, expected):
    assert codagent("notes", "show", loop.id, *(["--at", at] if at else [])).stdout == f"{expected}\n"


def test_an_iteration_that_there_is_not_has_no_notes(codagent, loop):
    done = codagent("notes", "show", "--at", "3")
    assert (done.returncode, "has 2 iterations, not 3" in done.stderr) == (2, True)


@pytest.mark.parametrize(("at", "change"), [((), ["-from before", "+after 2"]), (("--at", "2"), ["-after 1", "+after 2"])])
def test_a_difference_is_that_of_the_loop_or_of_one_iteration(codagent, loop, at, change):
    assert codagent("notes", "diff", *at).stdout.splitlines()[-2:] == change


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["notes", "diff", "--at", "1"], "the notes did not change\n"),
        (["notes", "clear"], "the notes are empty; `codagent notes rollback` puts those back that a loop began with\n"),
        (["notes", "rollback"], "the notes are put back\n"),
    ],
)
def test_what_was_done_with_the_notes_is_said(codagent, script, command, said):
    codagent(*LOOP, "--rewrite", "never", "--model", script(attempt("right")))
    done = codagent(*command)
    assert (done.returncode, done.stderr) == (0, said)


def test_the_way_back_is_to_before_the_loop_or_after_an_iteration(codagent, loop, repository):
    file = repository / ".codagent/notes.md"
    assert codagent("notes", "rollback", "--at", "1").stdout == f"{file}\n"
    assert file.read_text() == "after 1\n"
    assert codagent("notes", "rollback").returncode == 0
    assert file.read_text() == "from before\n"
    versions = [file.read_text() for file in sorted(repository.glob(".codagent/notes/*.md"))]
    assert versions == ["after 1\n", "after 2\n", "after 1\n", "from before\n"]


def test_the_next_loop_begins_with_the_notes_as_they_were_put_back(codagent, script, loop):
    codagent("notes", "rollback", "--at", "1")
    again = record_of(codagent(*LOOP, "--model", script([*attempt("right"), noted("n")]), "--json"))
    assert (again.notes, again.latest_notes) == ("after 1", "n")


@pytest.mark.parametrize("place", ["/", ".", "/proc/x", "/dev/full", "answer.txt/notes.md", "n" * 300, "loop/"])
def test_notes_that_can_be_nowhere_are_refused_in_a_sentence(codagent, script, repository, place):
    (repository / "loop").mkdir()
    done = codagent(*LOOP, "--model", script(tries("right")), "--notes", place)
    assert (done.returncode in (2, 6), done.stderr.count("\n") < 6, "Traceback" in done.stderr) == (True, True, False)
    assert list(repository.glob(".codagent/loops/*")) == []


def test_folders_for_the_notes_are_made(codagent, script, repository):
    assert codagent(*LOOP, "--model", script(tries("1", "right")), "--notes", "deep/er/notes.md").returncode == 0
    assert (repository / "deep/er/notes.md").read_text() == "after 2\n"
