import pytest

from jotter import Edit, EditError


def test_an_edit_puts_one_text_in_the_place_of_another():
    assert Edit(4, "tea", "milk").apply("hot tea!") == "hot milk!"


def test_the_inverse_takes_an_edit_back():
    edit = Edit(4, "tea", "milk")
    assert edit.inverse().apply(edit.apply("hot tea!")) == "hot tea!"


@pytest.mark.parametrize("edit", [Edit(0, "tea", ""), Edit(9, "", "x"), Edit(-1, "", "x")])
def test_an_edit_that_does_not_fit_is_refused(edit):
    with pytest.raises(EditError):
        edit.apply("milk")
