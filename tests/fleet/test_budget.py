"""Limits of many loops together."""

import threading

import pytest

from codagent.errors import LimitReached
from codagent.fleet.budget import FleetBudget
from codagent.store.ledger import Spent
from codagent.types import Limits

LOOP = Limits(tokens=100_000, usd=2.0)


def test_without_limits_each_loop_keeps_its_own():
    assert FleetBudget(None, None).take(LOOP) == LOOP


def test_what_is_not_used_is_there_for_the_next_and_the_last_gets_what_is_left():
    budget = FleetBudget(150_000, 5.0)
    first = budget.take(LOOP)
    budget.settle(first, Spent(40_000, 0.5))
    second = budget.take(LOOP)
    assert second == LOOP
    budget.settle(second, Spent(90_000, 1.5))
    third = budget.take(LOOP)
    assert (third.tokens, third.usd) == (20_000, 2.0)
    budget.settle(third, Spent(20_000, 2.0))
    with pytest.raises(LimitReached, match="--total-tokens"):
        budget.take(LOOP)


def test_money_runs_out_too():
    budget = FleetBudget(None, 3.0)
    budget.settle(budget.take(LOOP), Spent(1, 2.0))
    assert budget.take(LOOP).usd == 1.0
    budget = FleetBudget(None, 3.0)
    budget.book(Spent(1, 3.0))
    with pytest.raises(LimitReached, match="--total-usd"):
        budget.take(LOOP)


def test_a_loop_waits_while_others_may_still_give_back():
    budget, taken = FleetBudget(150_000, None), []
    first = budget.take(LOOP)
    waiting = threading.Thread(target=lambda: taken.append(budget.take(LOOP)))
    waiting.start()
    waiting.join(0.2)
    assert taken == []
    budget.settle(first, Spent(10_000))
    waiting.join(10)
    assert taken == [LOOP]


def test_who_waits_is_let_go_at_a_stop():
    budget, raised = FleetBudget(100_000, None), []
    budget.take(LOOP)

    def wait():
        try:
            budget.take(LOOP)
        except KeyboardInterrupt:
            raised.append(1)

    waiting = threading.Thread(target=wait)
    waiting.start()
    budget.stop()
    waiting.join(10)
    assert raised == [1]


def test_never_more_is_out_than_the_limit():
    budget, out, most = FleetBudget(250_000, None), [0], [0]
    lock = threading.Lock()

    def work(number):
        try:
            taken = budget.take(LOOP)
        except LimitReached:
            return
        with lock:
            out[0] += taken.tokens
            most[0] = max(most[0], out[0])
        spent = min(taken.tokens, 7_000 * (number % 5))
        with lock:
            out[0] -= taken.tokens - spent
        budget.settle(taken, Spent(spent))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most[0] <= 250_000
