import pytest

from stepwise import StepError, parse


def test_each_line_is_a_step():
    assert parse("app: lib, assets\nlib:\nassets:") == {"app": ["lib", "assets"], "lib": [], "assets": []}


def test_comments_and_empty_lines_are_skipped():
    assert parse("# all\n\nlib:  # the library\n") == {"lib": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [("lib", "line 1: expected"), (": lib", "line 1: expected"), ("a:\na:", "line 2: a is there twice")],
)
def test_a_wrong_line_is_refused_with_its_number(text, message):
    with pytest.raises(StepError, match=message):
        parse(text)
