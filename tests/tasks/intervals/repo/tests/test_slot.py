import pytest

from freebusy import parse_slots


def test_slots_are_read_in_the_order_written():
    assert [str(slot) for slot in parse_slots("13:00-14:00, 9:00-10:30,")] == ["13:00-14:00", "09:00-10:30"]


def test_a_slot_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="must end after it starts"):
        parse_slots("10:00-09:00")
