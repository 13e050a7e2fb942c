import pytest

from newest import Version, age


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.0", "1.10.0"),
        ("1.4.9", "2.0.0"),
        ("2.0.0-rc.1", "2.0.0"),
        ("2.0.0", "2.0.1-alpha"),
        ("2.0.0-alpha", "2.0.0-beta"),
        ("2.0.0-rc", "2.0.0-rc.1"),
        ("2.0.0-rc.1", "2.0.0-rc.1.1"),
        ("2.0.0-1", "2.0.0-alpha"),
        ("2.0.0-rc.7", "2.0.0-rc.fix"),
    ],
)
def test_one_version_is_newer_than_the_other(older, newer):
    assert age(Version.parse(older)) < age(Version.parse(newer))


def test_two_ways_to_write_a_version_are_as_old():
    assert age(Version.parse("1.4")) == age(Version.parse("1.4.0"))


def test_digits_in_a_pre_release_are_compared_as_numbers():
    versions = ["2.0.0-rc.10", "2.0.0-rc.x", "2.0.0-rc.9", "2.0.0-10", "2.0.0-9"]
    expected = ["2.0.0-9", "2.0.0-10", "2.0.0-rc.9", "2.0.0-rc.10", "2.0.0-rc.x"]
    assert sorted(versions, key=lambda text: age(Version.parse(text))) == expected
