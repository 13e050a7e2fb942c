"""The recipes for Qwen3 play a loop through Qwen3's own chat template, which trl ships. Nothing is sampled: the replies are given."""

import re
from importlib.resources import files

import pytest
from msgspec.structs import replace

from codagent.types import Tokens
from codagent_train.data.samples import imitation_samples
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import read_recipe
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import group_specs
from tests.train.doubles.characters import made, save

NO_THOUGHTS = "<|im_start|>assistant\n<think>\n\n</think>\n\n"  # what Qwen3 begins with when it is told not to think
MOVE, NOTES = "I try the first one. <answer>Direction 1</answer>", "It went down. <notes>\n- Direction 1 goes down.\n</notes>"


class GivenReplies:
    """An Engine that moves, writes a line of notes when notes are asked for, and keeps all requests as text."""

    ends = frozenset()

    def __init__(self, processor):
        self._processor, self.solve, self.rewrite = processor, [], []

    def generate(self, prompts, samplings):
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt):
        text = self._processor.decode(prompt)
        rewrites = "between two of them you rewrite" in text
        (self.rewrite if rewrites else self.solve).append(text)
        ids = tuple(self._processor.encode(NOTES if rewrites else MOVE))
        return Tokens(prompt, ids, (-1.0,) * len(ids))


@pytest.fixture(params=["frozenlake", "paper"])
def played(request, hushed, tmp_path):
    """The loops of one group of a recipe, and the engine that answered."""
    model, processor = made()
    processor.chat_template = files("trl").joinpath("chat_templates/qwen3.jinja").read_text()
    recipe = read_recipe(request.param)
    policy = replace(recipe.policy, weights=str(save(model, processor, tmp_path / "weights")), device="cpu", lora_rank=0)
    loaded = load_policy(policy, seed=0)
    recipe = replace(recipe, policy=policy, batch=replace(recipe.batch, packs=1, group_size=2))
    engine = GivenReplies(loaded.processor)
    specs = group_specs(recipe, [0], step=0, policy="given")[0]
    return rollout(Sampler(engine, loaded.tokenizer, "given", 1.0), specs), engine


def test_qwen3_is_told_not_to_think_in_each_request(played):
    _, engine = played
    assert len(engine.solve) > 8
    assert len(engine.rewrite) == 6  # two loops of four tasks
    for text in [*engine.solve, *engine.rewrite]:
        assert text.endswith(NO_THOUGHTS)


def test_the_turns_of_an_attempt_are_one_sample(played):
    loops, _ = played
    episodes = [episode for loop in loops for episode in loop.episodes]
    assert max(len(episode.steps) for episode in episodes) > 2
    assert len(imitation_samples(loops)) == len(episodes)


def test_earlier_replies_stand_in_a_request_as_they_were_asked_for(played):
    _, engine = played
    later = next(text for text in engine.solve if text.count(MOVE) == 2)
    assert later.count(f"{NO_THOUGHTS}{MOVE}<|im_end|>\n<|im_start|>user\n") == 2
    assert "generation" not in later


def test_a_request_for_notes_is_about_lakes_and_not_about_code(played):
    _, engine = played
    for text in engine.rewrite:
        assert "different but related tasks" in text
        assert not re.search(r"\b(code|checks|files|gates)\b", text)
