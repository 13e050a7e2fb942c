import pytest

from kitty import Ledger, statement


def test_who_pays_for_others_gets_it_back():
    ledger = Ledger()
    ledger.pay("ben", 600, {"ann": 1, "ben": 1})
    assert ledger.balances() == {"ann": -300, "ben": 300}


def test_payments_for_each_other_even_out():
    ledger = Ledger()
    ledger.pay("ann", 500, {"ben": 1})
    ledger.pay("ben", 500, {"ann": 1})
    assert ledger.balances() == {"ann": 0, "ben": 0}


def test_no_cent_appears_or_vanishes():
    ledger = Ledger()
    ledger.pay("ann", 1000, {"ann": 1, "ben": 1, "cleo": 1})
    ledger.pay("cleo", 100, {"ann": 1, "ben": 3, "cleo": 3})
    assert sum(ledger.balances().values()) == 0


def test_a_payment_that_is_refused_leaves_no_trace():
    ledger = Ledger()
    with pytest.raises(ValueError, match="more than nothing"):
        ledger.pay("ann", 0, {"ben": 1})
    with pytest.raises(ValueError, match="weight"):
        ledger.pay("ann", 100, {})
    assert ledger.balances() == {}


def test_a_statement_has_the_amounts_one_under_the_other():
    assert statement({"ann": 1266, "ben": -300, "cleo": 4}) == "ann   12.66\nben   -3.00\ncleo   0.04"
