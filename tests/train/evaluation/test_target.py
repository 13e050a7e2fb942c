"""Who is evaluated: found by a path, asked as the run or a recipe says."""

import json
from dataclasses import replace

import pytest

from codagent.errors import UsageError
from codagent_train.evaluation.target import Player, player, untrained
from codagent_train.recipe.schema import Place, Replies, read_recipe
from codagent_train.run_dir import checkpoints

SMOKE = read_recipe("smoke")


@pytest.fixture
def run(tmp_path):
    """The folder of a run that has saved twice."""
    out = tmp_path / "frozen"
    checkpoints.begin(out, replace(SMOKE, environment=Place("frozenlake", "hard", "paper", tasks=3), replies=Replies(max_tokens=99)))
    for step in (5, 10):
        (out / f"checkpoint-{step}").mkdir()
    return out


def test_a_run_plays_with_its_last_checkpoint_and_is_asked_as_it_was(run):
    found = player(str(run))
    assert (found.name, found.recipe.policy.weights) == ("frozen@10", str(run / "checkpoint-10"))
    assert (found.recipe.environment, found.recipe.replies) == (Place("frozenlake", "hard", "paper", tasks=3), Replies(max_tokens=99))


def test_a_checkpoint_is_of_its_run(run):
    found = player(str(run / "checkpoint-5"))
    assert (found.name, found.recipe.policy.weights) == ("frozen@5", str(run / "checkpoint-5"))
    assert found.recipe.environment.level == "hard"


def test_the_untrained_weights_of_a_run_are_asked_as_it_is(run):
    found = player(str(run))
    base = SMOKE.policy.weights
    assert untrained(found) == Player(base, replace(found.recipe, policy=replace(found.recipe.policy, weights=base)))


def test_weights_are_asked_as_a_recipe_or_a_run_says(run):
    assert player("some/model", asked="smoke").recipe.replies == SMOKE.replies
    found = player("some/model", asked=str(run))
    assert (found.name, found.recipe.policy.weights, found.recipe.replies.max_tokens) == ("some/model", "some/model", 99)


def test_a_recipe_goes_before_the_run(run):
    found = player(str(run), asked="frozenlake")
    assert (found.name, found.recipe.policy.device, found.untrained) == ("frozen@10", "cuda", SMOKE.policy.weights)


def test_weights_that_nothing_is_said_of_are_refused(tmp_path):
    with pytest.raises(UsageError, match="say with --recipe how"):
        player(str(tmp_path))


def test_what_weights_came_from_has_to_be_known_for_their_untrained_ones(run):
    with pytest.raises(UsageError, match="which model some/model came from is not known"):
        untrained(player("some/model", asked=str(run)))


def test_keycode_has_no_report(tmp_path):
    checkpoints.begin(tmp_path, read_recipe("toy"))
    with pytest.raises(UsageError, match="is on keycode, and reports are on frozenlake only"):
        player(str(tmp_path))


def test_a_run_without_a_checkpoint_cannot_play(tmp_path):
    checkpoints.begin(tmp_path, SMOKE)
    with pytest.raises(UsageError, match="has no checkpoint yet"):
        player(str(tmp_path))


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
        player(str(run))
