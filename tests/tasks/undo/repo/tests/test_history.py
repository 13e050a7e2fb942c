from jotter import Edit, History


def test_an_empty_history_has_nothing_to_undo_or_redo():
    history = History()
    assert history.undo() is None
    assert history.redo() is None


def test_edits_are_undone_from_the_last_to_the_first():
    history = History()
    history.record(Edit(0, "", "tea"))
    history.record(Edit(0, "t", "T"))
    assert history.undo() == Edit(0, "T", "t")
    assert history.undo() == Edit(0, "tea", "")


def test_letters_of_one_word_are_one_edit():
    history = History()
    for at, letter in enumerate("hot tea"):
        history.record(Edit(at, "", letter))
    assert history.undo() == Edit(4, "tea", "")
    assert history.undo() == Edit(3, " ", "")
    assert history.undo() == Edit(0, "hot", "")


def test_nothing_can_be_redone_after_another_edit():
    history = History()
    history.record(Edit(0, "", "tea"))
    history.undo()
    history.record(Edit(0, "", "milk"))
    assert history.redo() is None
