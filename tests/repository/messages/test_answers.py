"""What a reply without a call is told."""

import pytest

from codagent.repository.messages.answers import EMPTY, NUDGE, answer_text
from codagent.types import Message, Observation

EMPTY_REPLIES = ("", "```python\n```", "~~~\n\n~~~\n", "  ```\n```  ")


@pytest.mark.parametrize("reply", EMPTY_REPLIES)
def test_an_empty_reply_is_no_answer(reply):
    assert answer_text(reply, "Use a block.", checked=False) == Observation((Message("user", f"{EMPTY} Use a block."),))
    assert answer_text(reply, checked=False) == Observation((Message("user", EMPTY),))


@pytest.mark.parametrize("reply", ["It is 4.", "```python\nx = 1\n```"])
def test_without_checks_words_or_code_are_the_answer(reply):
    assert answer_text(reply, checked=False) == Observation((), "finished")


@pytest.mark.parametrize("reply", [*EMPTY_REPLIES, "It is 4."])
def test_with_checks_every_reply_is_told_what_is_wanted(reply):
    assert answer_text(reply, checked=True) == Observation((Message("user", NUDGE),))
    assert answer_text(reply, "Use a block.", checked=True) == Observation((Message("user", "Use a block."),))
