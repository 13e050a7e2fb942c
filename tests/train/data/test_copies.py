"""What a reply copies out of its prompt."""

import pytest

from codagent.types import Tokens
from codagent_train.data.copies import find_copied, weigh_tokens

PROMPT = tuple(range(100, 130))


def reply(*ids):
    return Tokens(PROMPT, ids, (0.0,) * len(ids))


def test_a_token_is_copied_that_goes_on_as_the_prompt_does():
    assert find_copied(reply(*PROMPT[:10])) == [False] * 3 + [True] * 7
    assert find_copied(reply(*PROMPT[20:])) == [False] * 3 + [True] * 7


def test_what_is_changed_is_not_copied_nor_what_follows_until_it_can_be_told_where_it_goes_on():
    copied = find_copied(reply(*PROMPT[:10], 7, *PROMPT[11:]))
    assert copied == [False] * 3 + [True] * 7 + [False] * 4 + [True] * 16


def test_what_is_left_out_is_no_copy():
    assert find_copied(reply(*PROMPT[:10], *PROMPT[12:20])) == [False] * 3 + [True] * 7 + [False] * 3 + [True] * 5


def test_what_the_prompt_has_elsewhere_is_no_copy_where_a_longer_run_goes_on_otherwise():
    line, other = (1, 2, 3, 50, 51, 52, 53), (9, 9, 9, 50, 51, 52, 60)
    mended = (1, 2, 3, 50, 51, 52, 60)
    assert find_copied(Tokens((*line, *other), mended, (0.0,) * 7)) == [False, False, False, True, True, True, False]
    assert find_copied(Tokens((*other, *line), line, (0.0,) * 7)) == [False, False, False, True, True, True, True]


@pytest.mark.parametrize("ids", [(), (100,), PROMPT[:3]])
def test_a_short_reply_copies_nothing(ids):
    assert find_copied(reply(*ids)) == [False] * len(ids)
    assert weigh_tokens(reply(*ids), 0.1) == [1.0] * len(ids)


def test_copied_tokens_count_less_and_the_reply_as_much_as_before():
    weights = weigh_tokens(reply(*PROMPT[:10], 7, *PROMPT[11:]), 0.25)
    assert sum(weights) == pytest.approx(30)
    assert weights[6] == pytest.approx(weights[0] / 4)
    assert weights[10] == weights[0]


def test_where_copies_count_nothing_a_reply_of_copies_alone_is_learned_from_evenly():
    assert weigh_tokens(Tokens(PROMPT, PROMPT[:3], (0.0,) * 3), 0.0) == [1.0] * 3
