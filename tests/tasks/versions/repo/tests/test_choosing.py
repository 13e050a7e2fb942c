from newest import newest

PUBLISHED = ["1.4", "1.10.2", "2.0.0-rc.9", "1.9.0", "2.0.0-rc.10"]


def test_the_newest_of_all_is_found():
    assert newest([*PUBLISHED, "2.0.0"]) == "2.0.0"


def test_the_newest_in_a_range_is_found():
    assert newest(PUBLISHED, "<2.0.0-a") == "1.10.2"


def test_a_version_is_given_as_it_was_published():
    assert newest(PUBLISHED, "<1.5") == "1.4"


def test_there_may_be_none():
    assert newest(PUBLISHED, ">1.4, <1.5") is None
    assert newest([]) is None


def test_the_tenth_candidate_is_newer_than_the_ninth():
    assert newest(PUBLISHED) == "2.0.0-rc.10"
