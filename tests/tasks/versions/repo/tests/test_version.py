import pytest

from newest import Version, VersionError


def test_a_release_has_no_parts_of_a_pre_release():
    assert Version.parse("1.10.2") == Version((1, 10, 2))


def test_the_third_number_may_be_left_out():
    assert Version.parse("1.4") == Version((1, 4, 0))


def test_a_pre_release_is_split_at_its_dots():
    assert Version.parse("2.0.0-rc-x.10") == Version((2, 0, 0), ("rc-x", "10"))


@pytest.mark.parametrize("text", ["", "1", "1.x", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "v1.2.3"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(VersionError, match="is no version"):
        Version.parse(text)
