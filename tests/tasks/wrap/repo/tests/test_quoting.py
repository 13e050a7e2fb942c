import pytest

from plainmail import quote, unquote


def test_every_line_is_marked():
    assert quote("hello\n\nsee you soon") == ["> hello", ">", "> see you soon"]


def test_a_quote_within_a_quote_gets_one_more_mark():
    assert quote("> hello\nhi") == [">> hello", "> hi"]


def test_the_mark_counts_for_the_width():
    assert quote("one two three", 9) == ["> one two", "> three"]


def test_a_quoted_address_stays_where_it_was():
    assert quote("look at https://example.org/a/b", 12) == ["> look at", "> https://ex", "> ample.org/", "> a/b"]


@pytest.mark.parametrize(("line", "depth", "text"), [("hi", 0, "hi"), ("> hi", 1, "hi"), (">> hi", 2, "hi"), (">", 1, "")])
def test_a_line_is_unquoted(line, depth, text):
    assert unquote(line) == (depth, text)
