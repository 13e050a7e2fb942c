import pytest

from freebusy.clock import parse_time, show_time


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("9:05", 545), (" 17:30 ", 1050), ("24:00", 1440)])
def test_a_time_is_minutes_since_midnight(text, minutes):
    assert parse_time(text) == minutes


@pytest.mark.parametrize("text", ["", "9", "09:60", "24:01", "9:5"])
def test_what_is_not_a_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_time(text)


def test_a_time_is_shown_with_two_digits():
    assert show_time(545) == "09:05"
