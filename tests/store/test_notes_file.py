"""The notes file, which a person may edit at any time."""

import pytest

from codagent.store.notes_file import NotesFile
from codagent.types import Episode, Outcome, Task


@pytest.fixture
def book(tmp_path):
    return NotesFile(tmp_path / "notes.md", tmp_path / "notes", who="loop-1")


def wrote(text, passed=True):
    return Episode("notes", 0, Task("t", "x"), "", (), outcome=Outcome(0.0, passed, ""), notes_after=text)


def versions(tmp_path):
    return {file.name: file.read_text() for file in sorted((tmp_path / "notes").glob("*"))}


def test_there_are_no_notes_before_there_is_a_file(book):
    assert book.read("") == ""


def test_notes_are_written_whole_and_every_version_is_kept(book, tmp_path):
    book.keep(wrote("one"))
    book.keep(wrote("two"))
    assert book.path.read_text() == "two\n"
    assert versions(tmp_path) == {"0001-loop-1.md": "one\n", "0002-loop-1.md": "two\n"}
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["notes.md"]


def test_the_edit_of_a_person_wins_and_is_recorded(book, tmp_path):
    book.keep(wrote("one"))
    book.path.write_text("mine\n")
    assert book.read("one") == "mine"
    assert versions(tmp_path)["0002-person.md"] == "mine\n"


def test_an_edit_while_the_notes_are_rewritten_wins_too(book, tmp_path):
    book.keep(wrote("one"))
    book.read("one")
    book.path.write_text("mine\n")
    book.keep(wrote("two"))
    assert book.read("two") == "mine"
    assert list(versions(tmp_path).values()) == ["one\n", "two\n", "mine\n"]


def test_notes_that_were_not_good_are_not_written(book):
    book.path.write_text("long notes of a person\n")
    book.read("")
    book.keep(wrote("long notes", passed=False))
    assert book.text() == "long notes of a person"


def test_after_a_crash_the_file_catches_up_with_the_record(book):
    book.keep(wrote("one"))
    book.settle("two", "one")
    assert book.text() == "two"


def test_after_a_crash_it_does_so_from_notes_that_were_there_before_the_loop(book):
    book.path.write_text("from before\n")
    book.settle("one", "from before")
    assert book.text() == "one"


def test_a_loop_that_begins_with_notes_but_no_file_writes_them(book):
    book.settle("from elsewhere", "")
    assert book.read("from elsewhere") == book.text() == "from elsewhere"


@pytest.mark.parametrize("edit", ["mine", "one"])
def test_after_a_crash_the_edit_of_a_person_still_wins(book, tmp_path, edit):
    book.keep(wrote("one"))
    book.keep(wrote("two"))
    NotesFile(book.path, tmp_path / "notes", who="person").write(edit)
    book.settle("two", "one")
    assert book.read("two") == edit


def test_an_edit_before_the_loop_went_on_is_not_written_over(book):
    book.keep(wrote("one"))
    book.path.write_text("mine\n")
    book.settle("one", "one")
    book.keep(wrote("two"))
    assert book.text() == "mine"
