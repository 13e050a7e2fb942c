"""Completions in slots: the same as those of a batch, whoever grows beside them and whatever their slot held before."""

import pytest
import torch

from codagent.types import Sampling
from codagent_train.policy.load import make_tiny
from codagent_train.rollout.engines import slots
from codagent_train.rollout.engines.engine import BatchStream, StreamingEngine, open_stream
from codagent_train.rollout.engines.transformers_loop import LocalEngine

pytestmark = pytest.mark.usefixtures("hushed")


@pytest.fixture
def engine():
    torch.manual_seed(0)
    return LocalEngine(make_tiny().model, pad=6, ends=frozenset({3}))


def sampling(seed, max_tokens=6):
    return Sampling(1.0, 1.0, 0, max_tokens, seed)


def finish(stream, wanted):
    done = {}
    for _ in range(50):
        done |= stream.step()
        if len(done) == wanted:
            return done
    raise AssertionError(done)


def same(found, expected):
    assert found.prompt_ids == expected.prompt_ids
    assert found.completion_ids == expected.completion_ids
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def talk(engine, turns, seed):
    """The prompts of a conversation: each has the prompt and the completion before it, and two more tokens."""
    prompt = (4, 6, seed % 3)
    for turn in range(turns):
        tokens = engine.generate([prompt], [sampling(seed + turn, 3)])[0]
        yield prompt, sampling(seed + turn, 3), tokens
        prompt = (*prompt, *tokens.completion_ids, 5, turn % 4)


def test_conversations_side_by_side_are_as_each_alone(engine):
    talks = [list(talk(engine, 4, 10 * number)) for number in range(5)]
    with engine.open_stream(5) as stream:
        done = dict.fromkeys(range(5), 0)
        for slot in range(4):  # the fifth joins later
            stream.submit(slot, *talks[slot][0][:2])
        for step in range(100):
            for slot, tokens in stream.step().items():
                same(tokens, talks[slot][done[slot]][2])
                done[slot] += 1
                if done[slot] < 4:
                    stream.submit(slot, *talks[slot][done[slot]][:2])
            if step == 1:
                stream.submit(4, *talks[4][0][:2])
            if set(done.values()) == {4}:
                break
    assert set(done.values()) == {4}


def test_what_a_slot_has_read_is_not_read_again(engine):
    read = []
    forward = engine._model.forward
    engine._model.forward = lambda **given: (read.append(given["input_ids"].shape), forward(**given))[1]
    with engine.open_stream(1) as stream:
        stream.submit(0, (4, 6, 1, 2, 5), sampling(1, 1))
        finish(stream, 1)
        stream.submit(0, (4, 6, 1, 2, 5, 0, 1), sampling(2, 1))
        finish(stream, 1)
    assert read == [(1, 5), (1, 2)]


@pytest.mark.parametrize("other", [(4, 6, 2, 2, 5), (4, 6), (5,), (4, 6, 1, 2, 5), (0, 1, 2, 3, 4, 5, 6, 0, 1, 2)])
def test_a_slot_takes_any_prompt_after_any_other(engine, other):
    with engine.open_stream(2) as stream:
        for prompt in ((4, 6, 1, 2, 5), other, (4, 6, 1, 2, 5)):
            stream.submit(1, prompt, sampling(7))
            same(finish(stream, 1)[1], engine.generate([prompt], [sampling(7)])[0])


def test_a_prompt_that_is_too_long_for_a_slot_is_completed_alone(engine, monkeypatch):
    monkeypatch.setattr(slots, "MAX_BATCH_TOKENS", 20)
    prompts = [(4, 6, 1, 2), (4, 6, 1, 2, 5)]  # with six more tokens: 10 fit into a slot, 11 do not
    with engine.open_stream(2) as stream:
        for slot, prompt in enumerate(prompts):
            stream.submit(slot, prompt, sampling(slot))
        done = finish(stream, 2)
        stream.submit(1, prompts[0], sampling(1))
        same(finish(stream, 1)[1], engine.generate(prompts[:1], [sampling(1)])[0])
    for slot, prompt in enumerate(prompts):
        same(done[slot], engine.generate([prompt], [sampling(slot)])[0])


def test_rows_of_very_different_lengths_go_through_the_model_apart(engine, monkeypatch):
    monkeypatch.setattr(slots, "_SPARE_OPERATIONS", 0)
    with engine.open_stream(3) as stream:
        for slot, prompt in enumerate([(4,), (4, 6), (4, 6) * 10]):
            stream.submit(slot, prompt, sampling(slot))
        assert [sorted(group) for group in stream._passes()] == [[0], [1], [2]]


def test_the_model_is_left_in_the_mode_that_it_was_in_and_learns_on(engine):
    engine._model.train()
    with engine.open_stream(1):
        assert not engine._model.training
        assert not torch.is_grad_enabled()
    assert engine._model.training
    assert torch.is_grad_enabled()


def test_an_engine_without_streams_completes_all_prompts_of_a_step_in_one_batch(engine):
    class Plain:
        ends = engine.ends

        def generate(self, prompts, samplings):
            return engine.generate(prompts, samplings)

    assert isinstance(engine, StreamingEngine)
    with open_stream(Plain(), 2) as stream:
        assert isinstance(stream, BatchStream)
        stream.submit(1, (4, 6), sampling(1))
        stream.submit(0, (5,), sampling(2))
        assert [tokens.prompt_ids for tokens in stream.step().values()] == [(5,), (4, 6)]
        assert stream.step() == {}
