from freebusy import busy_minutes, merge, parse_slots


def merged(text):
    return [str(slot) for slot in merge(parse_slots(text))]


def test_nothing_is_merged_to_nothing():
    assert merged("") == []


def test_slots_apart_stay_apart_and_are_put_in_order():
    assert merged("13:00-14:00, 09:00-10:00") == ["09:00-10:00", "13:00-14:00"]


def test_overlapping_slots_become_one():
    assert merged("09:00-10:30, 10:00-11:00") == ["09:00-11:00"]


def test_slots_back_to_back_become_one():
    assert merged("09:00-10:00, 10:00-11:00") == ["09:00-11:00"]


def test_a_slot_inside_a_longer_one_changes_nothing():
    assert merged("09:00-12:00, 10:00-10:30") == ["09:00-12:00"]


def test_minutes_covered_twice_count_once():
    assert busy_minutes(parse_slots("09:00-10:00, 09:30-11:00, 13:00-14:00")) == 180
