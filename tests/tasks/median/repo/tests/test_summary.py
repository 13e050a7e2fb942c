import pytest

from tally import mean, median, spread


def test_the_mean_shares_out_evenly():
    assert mean([1, 2, 6]) == 3


def test_the_median_of_one_value_is_that_value():
    assert median([7]) == 7


def test_the_median_of_ordered_values_is_in_the_middle():
    assert median([1, 2, 9]) == 2


def test_the_median_does_not_depend_on_the_order():
    assert median([9, 1, 2]) == 2


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle():
    assert median([10, 2, 4, 3]) == 3.5


def test_the_spread_is_from_the_smallest_to_the_largest():
    assert spread([4, -1, 2]) == 5


@pytest.mark.parametrize("function", [mean, median, spread])
def test_no_values_are_refused(function):
    with pytest.raises(ValueError, match="no values"):
        function([])
