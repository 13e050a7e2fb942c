"""The engine in this process."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from transformers import MistralConfig

from codagent.types import Sampling
from codagent_train.policy.load import make_tiny
from codagent_train.rollout.engines.transformers_loop import (
    Completion,
    CompletionBatch,
    LocalEngine,
    can_merge,
    draw,
    split_into_batches,
    uniforms,
)

pytestmark = pytest.mark.usefixtures("hushed")

PROMPTS = [(4, 6), (5, 1, 2, 3, 0), (5,), (4, 2, 2)]


@pytest.fixture
def engine():
    torch.manual_seed(0)
    return LocalEngine(make_tiny().model, pad=6, ends=frozenset({3}))


def samplings(*seeds, max_tokens=6, temperature=1.0):
    return [Sampling(temperature, 1.0, 0, max_tokens, seed) for seed in seeds]


def test_the_logprobs_are_those_of_the_model_without_batch_padding_or_cache(engine):
    for temperature in (1.0, 0.6):
        for tokens in engine.generate(PROMPTS, samplings(1, 2, 3, 4, temperature=temperature)):
            whole = torch.tensor([tokens.prompt_ids + tokens.completion_ids])
            with torch.no_grad():
                logprobs = (engine._model(input_ids=whole).logits[0] / temperature).log_softmax(-1)
            first = len(tokens.prompt_ids)
            expected = [logprobs[first + place - 1, one].item() for place, one in enumerate(tokens.completion_ids)]
            assert tokens.logprobs == pytest.approx(expected, abs=1e-5)


def test_neighbours_and_their_order_change_nothing(engine):
    together = engine.generate(PROMPTS, samplings(1, 2, 3, 4))
    alone = [engine.generate([prompt], samplings(seed))[0] for prompt, seed in zip(PROMPTS, (1, 2, 3, 4), strict=True)]
    turned = engine.generate(PROMPTS[::-1], samplings(4, 3, 2, 1))[::-1]
    assert [each.completion_ids for each in together] == [each.completion_ids for each in alone] == [each.completion_ids for each in turned]


def test_a_completion_ends_with_an_end_or_when_it_is_long_enough(engine):
    found = engine.generate([(4, 6)] * 200, [*samplings(*range(100)), *samplings(*range(100, 200), max_tokens=2)])
    assert all(len(each.completion_ids) == len(each.logprobs) for each in found)
    assert all(3 not in each.completion_ids[:-1] for each in found)
    assert all(
        each.completion_ids[-1] == 3 or len(each.completion_ids) == longest
        for each, longest in zip(found, [6] * 100 + [2] * 100, strict=True)
    )


def test_rows_that_join_while_others_grow_and_leave_change_nothing(engine):
    prompts = [*PROMPTS, (6, 5, 4) * 4, (4,)]
    expected = [engine.generate([prompt], samplings(seed, max_tokens=12))[0] for seed, prompt in enumerate(prompts)]
    waiting = [Completion(prompt, *samplings(seed, max_tokens=12)) for seed, prompt in enumerate(prompts)]
    asked, rows = [*waiting], CompletionBatch(engine._model, pad=6, ends=engine.ends)
    with torch.no_grad():
        while waiting or rows.growing:
            if waiting:
                rows.join([waiting.pop(0)])
            if rows.growing:
                rows.step()
    assert [row.tokens().completion_ids for row in asked] == [each.completion_ids for each in expected]
    assert [row.logprobs for row in asked] == [pytest.approx(each.logprobs, abs=1e-5) for each in expected]


def test_rows_do_not_join_where_layers_have_windows():
    config = make_tiny().model.config
    assert can_merge(SimpleNamespace(config=config))
    assert not can_merge(SimpleNamespace(config=MistralConfig(num_hidden_layers=2, sliding_window=8)))


def test_a_batch_has_room_for_its_rows_padded():
    assert split_into_batches([5, 30, 2, 11, 4, 10], room=20) == [[2, 4, 0], [5], [3], [1]]


def test_the_model_is_left_in_the_mode_that_it_was_in(engine):
    engine._model.train()
    engine.generate(PROMPTS, samplings(1, 2, 3, 4))
    assert engine._model.training


def test_tokens_are_drawn_as_often_as_they_are_likely_and_never_when_they_are_not():
    logits = torch.log(torch.tensor([0.5, 0.0, 0.2, 0.3])).expand(20_000, 4)
    chosen, logprobs = draw(logits, torch.ones(20_000), uniforms(range(20_000), 0))
    counts = Counter(chosen.tolist())
    assert [counts[token] / 20_000 for token in range(4)] == pytest.approx([0.5, 0.0, 0.2, 0.3], abs=0.015)
    assert logprobs.exp().tolist() == pytest.approx([[0.5, 0.0, 0.2, 0.3][token] for token in chosen.tolist()])


def test_the_ends_of_the_interval_are_tokens_that_can_be():
    logits = torch.log(torch.tensor([[0.0, 0.4, 0.6, 0.0]] * 2))
    assert draw(logits, torch.ones(2), torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64))[0].tolist() == [1, 2]


def test_the_numbers_of_a_seed_are_those_of_splitmix64():
    # the first two outputs for seed 1234567, from the reference code: 6457827717110365317, 3203168211198807973
    found = [uniforms([1234567], place).item() for place in (0, 1)]
    assert found == [(6457827717110365317 >> 11) / 2**53, (3203168211198807973 >> 11) / 2**53]
