"""How old the weights are that each step samples from."""

import pytest
import torch

from codagent.errors import ModelError, UsageError
from codagent_train.recipe.schema import read_recipe
from codagent_train.rollout.engines.engine import open_stream
from codagent_train.rollout.engines.factory import EngineSchedule


def sampled(staleness, steps, begin=0):
    """The step whose weights each step samples from."""
    schedule = EngineSchedule(lambda model, step: step, staleness, remote=True)
    found = [schedule.engine_at(None, step) for step in range(begin, steps)]
    assert all(engine == step for engine, step in found)
    return [step for _, step in found]


def test_without_staleness_every_step_samples_from_its_own_weights():
    assert sampled(0, 5) == [0, 1, 2, 3, 4]


def test_weights_are_never_older_than_the_recipe_says():
    assert sampled(2, 8) == [0, 0, 0, 3, 3, 3, 6, 6]
    assert all(step - used <= 20 for step, used in enumerate(sampled(20, 100)))


def test_a_resumed_run_samples_from_the_weights_that_it_has():
    assert sampled(3, 12, begin=6) == [6, 6, 6, 6, 10, 10]


class Reader:
    """An engine whose completion is the weight that its model has while it samples."""

    ends = frozenset({0})

    def __init__(self, model):
        self._model = model

    def generate(self, prompts, samplings):
        return [self._model(torch.ones(1)).item() for _ in prompts]


def patched_model():
    """A model whose forward was changed as trl does it: the change calls the forward of this very model, also in a copy."""
    model = torch.nn.Linear(1, 1, bias=False)
    original = model.forward

    def forward(x):
        return original(x) * 1

    model.forward = forward
    torch.nn.init.constant_(model.weight, 0.0)
    return model


@pytest.mark.parametrize(("staleness", "expected"), [(0, [0, 1, 2, 3, 4, 5]), (1, [0, 0, 2, 2, 4, 4]), (4, [0, 0, 0, 0, 0, 5])])
def test_an_engine_samples_from_the_weights_of_its_step_and_leaves_the_present_ones(staleness, expected):
    model, found = patched_model(), []
    schedule = EngineSchedule(lambda model, _: Reader(model), staleness, remote=False)
    for step in range(6):
        engine, used = schedule.engine_at(model, step)
        with open_stream(engine, 1) as stream:
            stream.submit(0, (1,), None)
            found += engine.generate([(1,)], [None])
            assert stream.step() == {0: used}
        assert model.weight.item() == step
        with torch.no_grad():
            model.weight += 1
    assert found == expected


def test_a_failure_while_sampling_leaves_the_present_weights():
    model = patched_model()

    class Broken(Reader):
        def generate(self, prompts, samplings):
            raise ModelError("no")

    schedule = EngineSchedule(lambda model, _: Broken(model), 4, remote=False)
    schedule.engine_at(model, 0)
    torch.nn.init.constant_(model.weight, 7.0)
    with pytest.raises(ModelError):
        schedule.engine_at(model, 1)[0].generate([(1,)], [None])
    assert model.weight.item() == 7.0


@pytest.mark.parametrize("value", ["-1", "21", '"4"'])
def test_a_recipe_says_a_number_up_to_twenty(tmp_path, value):
    file = tmp_path / "r.toml"
    toy = '[policy]\nweights = "random"\n[environment]\nname = "keycode"\n[batch]\npacks = 2\ngroup_size = 2\n[replies]\nmax_tokens = 1\n'
    rest = "[learning]\nsteps = 1\nlearning_rate = 1e-3\n[engine]\nstaleness = "
    file.write_text(f"{toy}{rest}{value}\n")
    with pytest.raises(UsageError, match="staleness must be a whole number from 0 to 20"):
        read_recipe(str(file))
    file.write_text(f"{toy}{rest}20\n")
    assert read_recipe(str(file)).engine.staleness == 20
