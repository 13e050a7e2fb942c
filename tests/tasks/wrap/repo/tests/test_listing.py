from plainmail import bullets


def test_each_item_is_marked():
    assert bullets(["milk", "bread"]) == ["* milk", "* bread"]


def test_further_lines_hang_under_the_first_word():
    assert bullets(["milk", "bread and butter"], 12) == ["* milk", "* bread and", "  butter"]


def test_another_mark_moves_the_indent():
    assert bullets(["one two"], 6, mark="->") == ["-> one", "   two"]
