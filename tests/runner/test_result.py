from pathlib import Path

import pytest

from codagent.runner.result import describe_spent, exit_code, outcome_label, summary_lines
from codagent.runner.spec import Result
from codagent.store.ledger import Spent
from codagent.types import Episode, Loop, Outcome, Task

PASSED, FAILED = Outcome(1.0, True, ""), Outcome(0.0, False, "")
SUSPICIOUS = Outcome(0.0, False, "", suspicious=("a.py:1: reaches for gc",))


@pytest.mark.parametrize(
    ("end", "outcome", "code", "said"),
    [
        ("finished", None, 0, "done"),
        ("finished", PASSED, 0, "passed"),
        ("finished", FAILED, 3, "failed"),
        ("finished", SUSPICIOUS, 3, "suspicious"),
        ("steps", SUSPICIOUS, 3, "suspicious"),
        ("tokens", SUSPICIOUS, 8, "tokens"),
        ("steps", None, 3, "steps"),
        ("steps", PASSED, 0, "passed"),
        ("steps", FAILED, 3, "failed"),
        ("repeated", None, 3, "repeated"),
        ("silent", None, 3, "silent"),
        ("refused", None, 4, "refused"),
        ("refused", FAILED, 4, "refused"),
        ("refused", PASSED, 0, "passed"),
        ("model", None, 4, "model"),
        ("model", FAILED, 4, "model"),
        ("sandbox", None, 5, "sandbox"),
        ("tokens", None, 8, "tokens"),
        ("seconds", FAILED, 8, "seconds"),
        ("usd", PASSED, 0, "passed"),
        ("interrupted", PASSED, 130, "interrupted"),
        ("interrupted", None, 130, "interrupted"),
    ],
)
def test_every_end_has_its_word_and_code(end, outcome, code, said):
    episode = Episode("solve", 0, Task("t", "x"), "", (), (), end, "", outcome)
    loop = Loop("id", "id", "repository", "m", "start", (episode,), end=end)
    assert (exit_code(loop), outcome_label(loop)) == (code, said)


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("passed", 0, "passed"),
        ("iterations", 3, "failed"),
        ("stalled", 9, "stalled"),
        ("blocked", 9, "blocked"),
        ("tokens", 8, "tokens"),
        ("model", 4, "model"),
        ("sandbox", 5, "sandbox"),
        ("interrupted", 130, "interrupted"),
        (None, 130, "interrupted"),
    ],
)
def test_a_loop_that_iterates_is_over_as_it_says(end, code, said):
    episodes = (Episode("solve", 0, Task("t", "x"), "", (), (), "finished", "", FAILED), Episode("notes", 0, Task("t", "x"), "", ()))
    loop = Loop("id", "id", "repository", "m", "start", episodes, end=end, settings={"job": {"iterate": True}})
    assert (exit_code(loop), outcome_label(loop)) == (code, said)


def test_what_may_have_been_billed_is_told_apart_from_what_was():
    def told(used):
        return describe_spent(Result(Loop("a", "a", "repository", "m", "c"), Spent(5427, 0.5), 1.0, Path("r"), used))

    assert told(Spent(1204, 0.1)) == "1,204 tokens, at most 5,427, $0.10, at most $0.50"
    assert told(Spent(5427, 0.5)) == told(None) == "5,427 tokens, $0.50"
    assert told(Spent(0, 0.0, 0)) == "0 tokens, at most 5,427, $0.00, at most $0.50"


@pytest.mark.parametrize("used", [Spent(), Spent(1204), Spent(1204, unpriced=2)])
def test_no_money_is_named_when_a_request_that_broke_off_has_no_known_price(used):
    result = Result(Loop("a", "a", "repository", "m", "c"), Spent(5427, unpriced=3), 1.0, Path("r"), used)
    assert describe_spent(result) == f"{used.tokens:,} tokens, at most 5,427, cost unknown"


@pytest.mark.parametrize(
    ("end", "flag"), [("stalled", " --patience N"), ("iterations", " --iterations N"), ("usd", " --max-usd USD"), ("interrupted", "")]
)
def test_the_command_that_goes_on_names_the_option_that_raises_the_limit(end, flag):
    attempt = Episode("solve", 0, Task("t", "x"), "", (), (), "finished", "", FAILED)
    loop = Loop("id", "id", "repository", "m", "start", (attempt,), end=end, settings={"job": {"iterate": True}})
    lines = summary_lines(Result(loop, Spent(), 1.0, Path("r")))
    assert f"go on:   codagent loop --resume id{flag}" in lines
