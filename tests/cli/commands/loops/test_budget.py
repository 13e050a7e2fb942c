"""No limit is passed, whatever it is and however often a loop is killed; the long form is tests/benchmarks/budget.py."""

import json
import random

import pytest

from tests.benchmarks.budget import last, spend
from tests.cli.loops import LOOP, attempt, noted, told
from tests.pace import Pace


@pytest.mark.parametrize("seed", range(12))
def test_what_was_billed_never_passes_a_limit_of_tokens_or_of_money(tmp_path, seed):
    tokens, money, _ = spend(tmp_path, random.Random(seed))
    assert max(tokens, money) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_limit_of_seconds_holds_but_for_the_moment_that_it_takes_to_write_down_what_came_of_it(tmp_path, seed):
    with Pace() as pace:
        passed_by = last(tmp_path, random.Random(seed))
    assert passed_by < 2.0 + pace.slack


@pytest.mark.parametrize("limit", [100, 2500, 6000, 20000])
def test_the_ledger_of_a_command_adds_up_and_stays_below_its_limit(codagent, script, repository, limit):
    items = [item for number in range(8) for item in (*attempt(number), noted(f"{number}" * 900))]
    done = codagent(*LOOP, "--model", script(items), "--max-tokens", str(limit), "--patience", "9", "--iterations", "8", "--json")
    assert done.returncode in (3, 8)
    balance, most = 0, 0
    for line in next(repository.glob(".codagent/loops/*/ledger.jsonl")).read_text().splitlines():
        balance += json.loads(line)["tokens"]
        most = max(most, balance)
    assert balance == told(done)["tokens"]
    assert most <= limit
