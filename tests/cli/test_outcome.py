import pytest

from codagent.cli.outcome import exit_code, word
from codagent.types import Episode, Outcome, Task

PASSED, FAILED = Outcome(1.0, True, ""), Outcome(0.0, False, "")


@pytest.mark.parametrize(
    ("end", "outcome", "code", "said"),
    [
        ("finished", None, 0, "done"),
        ("finished", PASSED, 0, "passed"),
        ("finished", FAILED, 3, "failed"),
        ("steps", None, 3, "steps"),
        ("steps", PASSED, 0, "passed"),
        ("steps", FAILED, 3, "failed"),
        ("repeated", None, 3, "repeated"),
        ("silent", None, 3, "silent"),
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
    assert (exit_code(episode), word(episode)) == (code, said)
