import pytest

from tally import column


def test_empty_cells_are_left_out():
    assert column("a,b\n1,\n2,5\n", "b") == [5.0]


def test_a_missing_column_is_named():
    with pytest.raises(KeyError, match="there is no column 'c'"):
        column("a,b\n1,2\n", "c")
