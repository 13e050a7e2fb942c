"""Who is evaluated: found by a path, asked as the run or a recipe says."""

import json

import pytest
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.evaluation.target import EvalTarget, resolve_target, untrained_target
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import ReplyConfig, read_recipe
from codagent_train.run_dir import checkpoints
from codagent_train.run_dir.weights_ref import WeightsRef, resolve
from tests.train.doubles.weights import save_weights

SMOKE = read_recipe("smoke")


@pytest.fixture
def run(tmp_path):
    """The folder of a run that has saved twice."""
    out = tmp_path / "frozen"
    checkpoints.begin_run(
        out, replace(SMOKE, environment=EnvironmentConfig("frozenlake", "hard", "paper", tasks=3), replies=ReplyConfig(max_tokens=99))
    )
    for step in (5, 10):
        save_weights(out / f"checkpoint-{step}")
    return out


def test_a_run_plays_with_its_last_checkpoint_and_is_asked_as_it_was(run):
    found = resolve_target(resolve(str(run)))
    assert (found.name, found.policy.weights) == ("frozen@10", str(run / "checkpoint-10"))
    assert (found.recipe.environment, found.recipe.replies) == (
        EnvironmentConfig("frozenlake", "hard", "paper", tasks=3),
        ReplyConfig(max_tokens=99),
    )


def test_a_checkpoint_is_of_its_run(run):
    found = resolve_target(resolve(str(run / "checkpoint-5")))
    assert (found.name, found.policy.weights) == ("frozen@5", str(run / "checkpoint-5"))
    assert found.recipe.environment.level == "hard"


def test_the_untrained_weights_of_a_run_are_asked_as_it_is(run):
    found = resolve_target(resolve(str(run)))
    base = SMOKE.policy.weights
    assert untrained_target(found) == EvalTarget(WeightsRef(base, base), found.recipe)
    assert untrained_target(found).policy.weights == base


def test_weights_are_asked_as_a_recipe_or_a_run_says(run):
    assert resolve_target(resolve("some/model"), recipe_name="smoke").recipe.replies == SMOKE.replies
    found = resolve_target(resolve("some/model"), recipe_name=str(run))
    assert (found.name, found.policy.weights, found.recipe.replies.max_tokens) == ("some/model", "some/model", 99)


def test_a_recipe_goes_before_the_run(run):
    found = resolve_target(resolve(str(run)), recipe_name="frozenlake")
    assert (found.name, found.policy.device, found.untrained) == ("frozen@10", "cuda", SMOKE.policy.weights)


def test_weights_that_nothing_is_said_of_are_refused(tmp_path):
    with pytest.raises(UsageError, match="say with --recipe how"):
        resolve_target(resolve(str(save_weights(tmp_path))))


def test_what_weights_came_from_has_to_be_known_for_their_untrained_ones(run):
    with pytest.raises(UsageError, match="which model some/model came from is not known"):
        untrained_target(resolve_target(resolve("some/model"), recipe_name=str(run)))


def test_keycode_has_no_report(tmp_path):
    checkpoints.begin_run(tmp_path, read_recipe("toy"))
    save_weights(tmp_path / "checkpoint-1")
    with pytest.raises(UsageError, match="is on keycode, and reports are on frozenlake only"):
        resolve_target(resolve(str(tmp_path)))


def test_a_run_without_a_checkpoint_cannot_play(tmp_path):
    checkpoints.begin_run(tmp_path, SMOKE)
    with pytest.raises(UsageError, match="has no checkpoint yet"):
        resolve_target(resolve(str(tmp_path)))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("{}", "is not the recipe of a run: .* missing"),
        (json.dumps({"policy": {"weight": "x"}}), "unknown key 'weight'"),
        ("torn{", "no run in"),
    ],
)
def test_the_recipe_of_a_run_that_cannot_be_read_is_said(run, broken, told):
    (run / "run.json").write_text(broken)
    with pytest.raises(UsageError, match=told):
        resolve_target(resolve(str(run)))
