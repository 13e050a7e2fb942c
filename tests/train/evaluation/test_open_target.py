"""Weights are asked through the engine that the recipe names: this process, or a vLLM server."""

import pytest
from msgspec.structs import replace

from codagent.types import Message, Sampling, Tokens
from codagent_train.evaluation.runner import open_target
from codagent_train.evaluation.target import EvalTarget
from codagent_train.recipe.schema import EngineConfig, read_recipe
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.rollout.sampler import SampleRequest
from codagent_train.run_dir.weights_ref import resolve
from tests.train.doubles.characters import made, save
from tests.train.doubles.vllm_double import serve

pytestmark = pytest.mark.usefixtures("hushed")

REQUEST = SampleRequest((Message("user", "hi"),), (), Sampling(max_tokens=3, seed=1))


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    """Weights that read and write characters, and were not trained."""
    return save(*made(), tmp_path_factory.mktemp("characters") / "weights")


def through(server, weights):
    """A sampler that asks the server."""
    recipe = replace(read_recipe("smoke"), engine=EngineConfig("vllm", server.url))
    return open_target(EvalTarget(resolve(str(weights)), recipe))[0]


def answering(asked):
    def sample(adapter, prompt, sampling):
        asked.append((adapter, prompt))
        return Tokens(prompt, (5,) * sampling.max_tokens, (-1.0,) * sampling.max_tokens)

    return sample


def test_a_server_is_asked_for_the_base_in_the_ids_in_which_this_process_asks(characters):
    local, asked = open_target(EvalTarget(resolve(str(characters)), read_recipe("smoke")))[0], []
    assert isinstance(local.engine, LocalEngine)
    with serve(answering(asked), base=str(characters)) as server:
        (reply,) = through(server, characters).sample_replies([REQUEST])
    assert asked == [("", local.sample_replies([REQUEST])[0].tokens.prompt_ids)]
    assert reply.tokens.completion_ids == (5, 5, 5)


def test_a_server_is_given_the_adapter_under_a_name_of_its_own(characters, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    asked = []
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(characters), LoraConfig(r=2, target_modules="all-linear"))
    adapter = tmp_path / "checkpoint-1"
    model.save_pretrained(adapter)
    made()[1].save_pretrained(adapter)
    with serve(answering(asked), base=str(characters)) as server:
        through(server, adapter).sample_replies([REQUEST])
        assert [folder for folder, _ in asked] == [str(adapter)]
        (name,) = [body["lora_name"] for body in server.asked("/v1/load_lora_adapter")]
    assert name.startswith("checkpoint-1-") or "@1-" in name
