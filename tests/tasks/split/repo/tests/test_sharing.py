import pytest

from kitty import split


def test_an_amount_is_shared_evenly():
    assert split(900, {"ann": 1, "ben": 1, "cleo": 1}) == {"ann": 300, "ben": 300, "cleo": 300}


def test_a_share_follows_its_weight():
    assert split(900, {"ann": 2, "ben": 1}) == {"ann": 600, "ben": 300}


def test_one_name_has_all_of_it():
    assert split(333, {"ann": 7}) == {"ann": 333}


def test_one_cent_left_over_goes_to_the_first_name():
    assert split(1000, {"ann": 1, "ben": 1, "cleo": 1}) == {"ann": 334, "ben": 333, "cleo": 333}


def test_cents_left_over_are_handed_out_one_by_one():
    assert split(200, {"ann": 1, "ben": 1, "cleo": 1}) == {"ann": 67, "ben": 67, "cleo": 66}


@pytest.mark.parametrize("weights", [{}, {"ann": 1, "ben": 0}])
def test_a_share_without_a_weight_is_refused(weights):
    with pytest.raises(ValueError, match="weight of at least 1"):
        split(100, weights)
