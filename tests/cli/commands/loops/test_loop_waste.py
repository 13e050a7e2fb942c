"""A loop does not do what nobody needs, and says whose notes it starts with."""

import pytest

from tests.cli.conftest import CHECK
from tests.cli.keyboard import typed
from tests.cli.loops import LOCAL, attempt, kinds, noted, record_of, tries

FIRST = ("loop", "mend it", "--check", CHECK, *LOCAL)


def test_the_notes_are_not_rewritten_after_the_last_pass(codagent, script, repository):
    done = codagent(*FIRST, "--model", script([*tries("1"), *attempt("right")]), "--json")
    assert (done.returncode, kinds(record_of(done))) == (0, [("solve", 0), ("notes", 0), ("solve", 1)]), done.stderr
    assert (repository / ".codagent/notes.md").read_text() == "after 1\n"


def test_the_notes_of_a_loop_that_failed_are_rewritten_to_the_end(codagent, script, repository):
    done = codagent(*FIRST, "--iterations", "2", "--model", script(tries("1", "2")), "--json")
    assert (done.returncode, kinds(record_of(done))[-1]) == (3, ("notes", 1)), done.stderr
    assert (repository / ".codagent/notes.md").read_text() == "after 2\n"


@pytest.fixture
def first(codagent, script):
    """A loop that left notes, and its id."""
    return record_of(codagent(*FIRST, "--iterations", "1", "--model", script(tries("1")), "--json")).id


def test_whose_notes_a_loop_starts_with_is_said(codagent, script, repository, first):
    again = codagent(*FIRST, "--iterations", "1", "--model", script(attempt("right")))
    assert f"notes: 2 words from loop {first} are used\n" in again.stderr
    other = ("loop", "do more", "--check", "test -e more", "--iterations", "1", "--model", script([*attempt("a"), noted("b")]), *LOCAL)
    assert f"notes: 2 words are from loop {first}, which had another task: mend it\n" in codagent(*other).stderr
    (repository / ".codagent/notes.md").write_text("my own three words\n")
    assert "notes: 4 words of yours are used" in codagent(*other).stderr
    assert codagent("notes", "clear").returncode == 0
    assert "notes: " not in codagent(*FIRST, "--iterations", "1", "--model", script(attempt("right"))).stderr


@pytest.mark.parametrize(("answer", "left"), [("n\n", ""), ("\n", "after 1")])
def test_on_a_terminal_the_notes_of_another_task_are_asked_about(script, repository, first, answer, left):
    model = script([*attempt("more"), noted("new")])
    code, shown = typed(repository, answer, "loop", "do more", "--check", "grep more answer.txt", "--model", model, *LOCAL)
    assert (code, "use these notes? [Y/n]" in shown) == (0, True), shown
    assert (repository / ".codagent/notes.md").read_text().strip() == left


def test_a_group_ends_with_a_table(codagent, script):
    done = codagent(*FIRST, "--group", "2", "--all", "--model", script([*tries("1"), *attempt("right")]))
    heading, *rows = done.stdout.splitlines()[:3]
    assert heading.split() == ["loop", "outcome", "tokens", "cost", "scores"]
    assert [(row.split()[1], row.split()[-2:]) for row in rows] == [("passed", ["0.00", "1.00"])] * 2
