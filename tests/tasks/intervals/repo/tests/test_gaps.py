from freebusy import free, parse_slots


def gaps(busy, **options):
    return [str(slot) for slot in free(parse_slots(busy), "09:00", "17:00", **options)]


def test_an_empty_day_is_one_gap():
    assert gaps("") == ["09:00-17:00"]


def test_gaps_lie_before_between_and_after():
    assert gaps("10:00-11:00, 13:00-14:00") == ["09:00-10:00", "11:00-13:00", "14:00-17:00"]


def test_short_gaps_are_left_out():
    assert gaps("09:30-12:00, 13:00-17:00", at_least=60) == ["12:00-13:00"]


def test_time_outside_the_day_does_not_count():
    assert gaps("07:00-09:30, 16:00-20:00") == ["09:30-16:00"]


def test_nobody_is_free_during_a_workshop_because_of_a_call_in_it():
    assert gaps("09:00-16:00, 10:00-10:30") == ["16:00-17:00"]
