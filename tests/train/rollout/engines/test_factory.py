"""How old the weights are that each step samples from."""

import pytest
import torch

from codagent.errors import UsageError
from codagent_train.recipe.schema import read_recipe
from codagent_train.rollout.engines.factory import EngineSchedule


def sampled(staleness, steps, begin=0):
    """The step whose weights each step samples from."""
    schedule = EngineSchedule(lambda model, step: step, staleness, copies=False)
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


def test_an_engine_that_is_kept_does_not_see_the_steps_that_follow():
    model = torch.nn.Linear(1, 1)
    kept = EngineSchedule(lambda model, _: model, 1, copies=True).engine_at(model, 0)[0]
    fresh = EngineSchedule(lambda model, _: model, 0, copies=True).engine_at(model, 0)[0]
    before = kept.weight.item()
    with torch.no_grad():
        model.weight += 1
    assert (kept.weight.item(), kept.weight.requires_grad) == (before, False)
    assert fresh is model


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
