import pytest

from purl import PatternError, chart


def test_each_line_is_read_as_a_row():
    assert chart("row 1: k2 p1 yo1\nrow 2: p4") == ["..-o", "----"]


def test_more_than_nine_stitches_are_read():
    assert chart("p12") == ["-" * 12]


@pytest.mark.parametrize("word", ["k", "3", "x2", "k2p2"])
def test_a_word_that_is_no_stitch_is_refused(word):
    with pytest.raises(PatternError, match=f"'{word}' is no stitch with a number"):
        chart(f"k2 {word}")
