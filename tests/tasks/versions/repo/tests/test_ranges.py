import pytest

from newest import Range, Version, VersionError


@pytest.mark.parametrize("text", ["1.4.0", "1.9.9", "2.0.0-rc.1"])
def test_a_version_that_keeps_to_every_limit_is_in_the_range(text):
    assert Version.parse(text) in Range.parse(">=1.4, <2.0.0")


@pytest.mark.parametrize("text", ["1.3.9", "1.4.0-rc.1", "2.0.0"])
def test_a_version_beyond_a_limit_is_not(text):
    assert Version.parse(text) not in Range.parse(">=1.4 <2.0.0")


def test_no_limits_let_everything_in():
    assert Version.parse("0.0.1-alpha") in Range.parse("")


@pytest.mark.parametrize("text", ["1.4", "~1.4", ">= 1.4"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(VersionError, match="is no limit"):
        Range.parse(text)
