import pytest

from purl import PatternError, parse


def test_each_line_is_a_row():
    assert parse("\n..--\n--..\n") == ["..--", "--.."]


def test_an_unknown_stitch_is_refused_with_its_row():
    with pytest.raises(PatternError, match="row 2: 'x' is no stitch"):
        parse("..\n.x")


def test_rows_of_different_widths_are_refused():
    with pytest.raises(PatternError, match="row 2: 3 stitches, but row 1 has 2"):
        parse("..\n...")
