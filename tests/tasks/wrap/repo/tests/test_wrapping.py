import pytest

from plainmail import wrap


def test_no_words_are_no_lines():
    assert wrap("  \n ") == []


def test_words_share_a_line_as_long_as_they_fit():
    assert wrap("Dear Ada, the machine is ready.", 16) == ["Dear Ada, the", "machine is", "ready."]


def test_a_word_of_exactly_the_width_fits():
    assert wrap("one three", 5) == ["one", "three"]


def test_space_between_words_becomes_one():
    assert wrap("a  b\n\tc", 10) == ["a b c"]


def test_a_long_word_is_cut():
    assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_words_before_a_long_word_stay_before_it():
    assert wrap("go to abcdefghij", 6) == ["go to", "abcdef", "ghij"]


def test_words_after_a_long_word_start_on_their_own_line():
    assert wrap("see abcdefghij or ask", 6) == ["see", "abcdef", "ghij", "or ask"]


def test_a_line_without_room_is_refused():
    with pytest.raises(ValueError, match="room for one character"):
        wrap("text", 0)
