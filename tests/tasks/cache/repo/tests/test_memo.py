import pytest

from recall import memoize


@pytest.fixture
def asked():
    return []


@pytest.fixture
def double(asked):
    @memoize(size=2)
    def double(number):
        asked.append(number)
        return number * 2

    return double


def test_a_call_is_made_once(double, asked):
    assert [double(4), double(4)] == [8, 8]
    assert asked == [4]


def test_what_is_asked_all_the_time_is_never_computed_again(double, asked):
    for other in (10, 20, 30):
        double(1)
        double(other)
    assert asked == [1, 10, 20, 30]


def test_a_result_of_none_is_remembered(asked):
    @memoize()
    def find(name):
        asked.append(name)

    find("x")
    find("x")
    assert asked == ["x"]


def test_hits_and_misses_are_counted(double):
    double(1)
    double(1)
    assert str(double.stats) == "1 hits, 1 misses"
    assert double.stats.ratio == 0.5
