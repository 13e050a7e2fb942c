import pytest

from jotter import EditError, Note


def test_what_was_undone_can_be_redone():
    note = Note("tea")
    note.type(3, " and milk")
    note.erase(0, 4)
    assert note.undo()
    assert note.undo()
    assert note.text == "tea"
    assert note.redo()
    assert note.text == "tea and milk"


def test_a_change_that_is_refused_leaves_no_trace():
    note = Note("tea")
    with pytest.raises(EditError):
        note.type(7, "x")
    assert note.text == "tea"
    assert not note.undo()


def test_typing_after_an_undo_leaves_nothing_to_redo():
    note = Note()
    note.type(0, "tea")
    note.undo()
    note.type(0, "milk")
    assert not note.redo()
    assert note.text == "milk"
