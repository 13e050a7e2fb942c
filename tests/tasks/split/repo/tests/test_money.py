import pytest

from kitty import cents, show


@pytest.mark.parametrize(("text", "value"), [("12.50", 1250), ("0.07", 7), ("-3.33", -333), ("0.00", 0)])
def test_an_amount_is_read_and_shown(text, value):
    assert cents(text) == value
    assert show(value) == text


def test_cents_may_be_left_out():
    assert cents("12") == 1200


@pytest.mark.parametrize("text", ["", "1.5", "1,50", "ten", "1.505"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="is no amount"):
        cents(text)
