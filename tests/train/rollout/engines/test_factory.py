"""Continuous batching, and whole runs by the engines of a recipe."""

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pytest
import torch
from msgspec.structs import replace
from peft import PeftModel

from codagent.types import Sampling
from codagent_train.errors import Diverged
from codagent_train.policy.load import load_policy, make_tiny
from codagent_train.recipe.schema import BatchConfig, EngineConfig, read_recipe
from codagent_train.rollout.engines.continuous import ContinuousEngine
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training.trainer import train
from tests.train.doubles.vllm_double import serve
from tests.train.training.processes.test_processes import LAUNCHED, finished

pytestmark = pytest.mark.usefixtures("hushed")

PROMPTS = [(4, 6), (5, 1, 2, 3, 0), (5,), (4, 2, 2)]
END = 3


@pytest.fixture
def engine():
    torch.manual_seed(0)
    return ContinuousEngine(make_tiny().model, ends=frozenset({END}))


def samplings(*seeds, max_tokens=6, temperature=1.0):
    return [Sampling(temperature, 1.0, 0, max_tokens, seed) for seed in seeds]


def expected(model, tokens, temperature):
    whole = torch.tensor([tokens.prompt_ids + tokens.completion_ids])
    with torch.no_grad():
        logprobs = (model(input_ids=whole).logits[0] / temperature).log_softmax(-1)
    first = len(tokens.prompt_ids)
    return [logprobs[first + place - 1, one].item() for place, one in enumerate(tokens.completion_ids)]


def test_the_logprobs_are_those_of_the_model_at_the_temperature_of_each_request(engine):
    temperatures = (1.0, 0.6, 1.0, 2.0)
    asked = [Sampling(each, 1.0, 0, 6, seed) for seed, each in enumerate(temperatures)]
    for tokens, prompt, temperature in zip(engine.generate(PROMPTS, asked), PROMPTS, temperatures, strict=True):
        assert tokens.prompt_ids == prompt
        assert tokens.logprobs == pytest.approx(expected(engine._model, tokens, temperature), abs=1e-5)


def test_a_completion_ends_with_an_end_or_when_it_is_long_enough(engine):
    found = engine.generate([(4, 6)] * 60, [*samplings(*range(30)), *samplings(*range(30), max_tokens=2)])
    assert all(len(each.completion_ids) == len(each.logprobs) for each in found)
    assert all(END not in each.completion_ids[:-1] for each in found)
    assert all(
        each.completion_ids[-1] == END or len(each.completion_ids) == longest
        for each, longest in zip(found, [6] * 30 + [2] * 30, strict=True)
    )


def test_tokens_are_drawn_as_often_as_they_are_likely(engine):
    found = engine.generate([(4, 6)] * 2000, samplings(*range(2000), max_tokens=1))
    counts = Counter(each.completion_ids[0] for each in found)
    with torch.no_grad():
        likely = engine._model(input_ids=torch.tensor([[4, 6]])).logits[0, -1].softmax(-1).tolist()
    assert [counts[one] / 2000 for one in range(len(likely))] == pytest.approx(likely, abs=0.05)


def test_a_batch_comes_again_and_another_seed_makes_it_another(engine):
    first, second, other = (engine.generate(PROMPTS * 8, samplings(*range(start, start + 32))) for start in (0, 0, 1))
    assert first == second != other


def test_a_batch_that_has_more_tokens_than_are_held_is_sampled_whole(engine, monkeypatch):
    monkeypatch.setattr("codagent_train.rollout.engines.continuous.MAX_BATCH_TOKENS", 512)
    for tokens in engine.generate(PROMPTS * 8, samplings(*range(32))):
        assert tokens.logprobs == pytest.approx(expected(engine._model, tokens, 1.0), abs=1e-5)


def test_weights_that_change_are_those_that_sample(engine):
    engine.generate(PROMPTS, samplings(1, 2, 3, 4))
    with torch.no_grad():
        for each in engine._model.parameters():
            each.mul_(0.5)
    for tokens in engine.generate(PROMPTS, samplings(1, 2, 3, 4)):
        assert tokens.logprobs == pytest.approx(expected(engine._model, tokens, 1.0), abs=1e-5)


def test_the_model_and_the_generator_are_left_as_they_were(engine):
    engine._model.train()
    before = torch.get_rng_state()
    engine.generate(PROMPTS, samplings(1, 2, 3, 4))
    assert engine._model.training
    assert engine._model.config._attn_implementation == "sdpa"
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_are_no_numbers_are_told_as_such(engine):
    with torch.no_grad():
        engine._model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="the policy's weights give no probabilities"):
        engine.generate(PROMPTS, samplings(1, 2, 3, 4))


@pytest.fixture
def adapted(small):
    """The toy by LoRA, fast enough for two adapters to differ."""
    toy = read_recipe("toy")
    learning = replace(toy.learning, steps=2, learning_rate=0.02, save_every=2)
    return replace(small, policy=replace(small.policy, lora_rank=4), batch=BatchConfig(packs=2, group_size=4), learning=learning)


def trained(given, out):
    checkpoints.begin_run(out, given)
    loaded = load_policy(given.policy, seed=given.seed)
    train(given, loaded, out)
    return metrics.read(out / metrics.FILE)


def test_a_run_by_continuous_batching_is_on_policy(tmp_path, adapted):
    lines = trained(replace(adapted, engine=EngineConfig("continuous")), tmp_path / "out")
    assert [line["step"] for line in lines] == [1, 2]
    assert max(line["drift/mean"] for line in lines) < 1e-5


@contextmanager
def serving(given):
    """A vLLM server of the base of a recipe, as far as it can be told from outside."""
    lock = Lock()

    def sample(folder, prompt, sampling):
        with lock:
            base = load_policy(given.policy, seed=given.seed)
            tuned = PeftModel.from_pretrained(base.model, folder)
            return LocalEngine(tuned, pad=base.pad, ends=base.ends).generate([prompt], [sampling])[0]

    with serve(sample) as server:
        yield server


def test_a_run_by_a_server_that_is_given_each_adapter_is_the_run_in_this_process(tmp_path, adapted):
    with serving(adapted) as server:
        served = trained(replace(adapted, engine=EngineConfig("vllm", server.url)), tmp_path / "served")
    here = trained(adapted, tmp_path / "here")
    assert [body["lora_name"].partition("-")[0] for body in server.asked("/v1/load_lora_adapter")] == ["served@0", "served@1"]
    assert len(server.adapters) == 1
    assert [fixed(line) for line in served] == [pytest.approx(fixed(line), abs=1e-4) for line in here]
    assert max(line["drift/mean"] for line in served) < 1e-5


def test_of_two_processes_one_gives_the_server_its_adapters_and_both_ask_it(tmp_path, adapted):
    out = tmp_path / "out"
    checkpoints.begin_run(out, adapted)
    with serving(adapted) as server:
        finished(*LAUNCHED, Path(__file__).with_name("served.py"), out, server.url)
    names = [body["lora_name"] for body in server.asked("/v1/load_lora_adapter")]
    assert [name.partition("-")[0] for name in names] == ["out@0", "out@1"]
    asked = [body["model"] for body in server.asked("/v1/completions")]
    assert asked == sorted(asked)
    assert set(asked) == set(names)
    assert len(asked) >= 2 * 2 * 4 * 7  # steps, packs, loops, replies of a loop
    assert max(line["drift/mean"] for line in metrics.read(out / metrics.FILE)) < 1e-5


def fixed(line):
    return {name: value for name, value in line.items() if "second" not in name}
