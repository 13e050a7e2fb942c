"""`codagent-train check`, and the same question before a run."""

from pathlib import Path

import pytest

from codagent_train.policy.load import load_policy
from codagent_train.policy.size.model_size import TINY
from codagent_train.recipe.schema import read_recipe
from tests.train.command import run_train

pytestmark = pytest.mark.usefixtures("hushed")

TOY = (Path(__file__).parents[3] / "train/codagent_train/recipe/shipped/toy.toml").read_text()


@pytest.fixture
def large(tmp_path):
    """A toy whose rows of one part no memory holds."""
    file = tmp_path / "large.toml"
    file.write_text(TOY.replace("packs = 16", "packs = 2_000_000_000"))
    return file


def test_what_a_run_takes_is_told(tmp_path):
    done = run_train("check", "toy", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [line[:8].strip() for line in done.stdout.splitlines()] == ["model", "tokens", "", "memory", "", "disk", "time"]
    assert done.stdout.startswith("model   83,136 parameters, 83,136 trained\n")
    assert not (tmp_path / "out").exists()


def test_what_cannot_fit_is_refused_by_check_and_by_run_before_anything_is_made(large, tmp_path):
    for command in ("check", "run"):
        done = run_train(command, large, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert "GB are free: weights" in done.stderr
        assert "take more `microbatches`" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_random_model_has_the_size_that_is_told_of_it():
    model = load_policy(read_recipe("toy").policy, seed=0).model
    linears = [tuple(each.weight.shape) for name, each in model.named_modules() if hasattr(each, "weight") and "_proj" in name]
    config = model.config
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    found = sum(each.numel() for each in model.parameters()), sorted(linears), config.vocab_size, cached
    assert found == (TINY.parameters, sorted(TINY.linears), TINY.vocabulary, TINY.cached)


def test_a_device_that_is_not_there_is_refused(tmp_path):
    file = tmp_path / "gpu.toml"
    file.write_text(TOY.replace('"random"', '"random"\ndevice = "cuda"'))
    done = run_train("check", file, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert "torch finds no GPU here" in done.stderr


@pytest.mark.parametrize("recipe", ["smoke", "imitate"])
def test_the_configuration_of_a_model_is_enough(recipe, tmp_path):
    done = run_train("check", recipe, "--out", tmp_path / "out", HF_HUB_CACHE=str(tmp_path))
    assert done.stdout.startswith("model   134,479,872 parameters, "), done.stderr
    assert done.returncode == 0 or "GB are free" in done.stderr  # other work may fill this machine


def test_a_run_for_another_device_is_described_all_the_same(tmp_path):
    done = run_train("check", "frozenlake", CUDA_VISIBLE_DEVICES="", HF_HUB_CACHE=str(tmp_path))
    assert (done.returncode, "torch finds no GPU here" in done.stderr) == (2, True)
    assert "is not known: there is no cuda device here to measure" in done.stdout


def test_weights_of_ones_own_take_the_place_of_the_recipes(tmp_path):
    done = run_train("check", "smoke", "--weights", tmp_path / "mine")
    assert (done.returncode, f"the weights {tmp_path}/mine are not on this machine" in done.stderr) == (2, True)


def test_a_recipe_is_printed_to_be_copied(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(run_train("recipe", "toy").stdout)
    assert file.read_text() == TOY
    refused = run_train("recipe", "absent")
    assert (refused.returncode, "one of alchemy, alchemy-further" in refused.stderr) == (2, True)


def test_the_recipes_are_listed_with_what_they_are_for():
    lines = run_train("recipe").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "alchemy",
        "alchemy-further",
        "alchemy-lessons",
        "circle",
        "control",
        "control-lessons",
        "frozenlake",
        "house",
        "imitate",
        "lake",
        "lake-further",
        "learn",
        "lessons",
        "local",
        "mixed",
        "mixed-lessons",
        "paper",
        "smoke",
        "toy",
    ]
    described = {name: text.strip() for name, _, text in (line.partition(" ") for line in lines)}
    assert described["toy"] == "A two-layer model with random weights learns to pass a secret on in its notes"
    assert all(10 < len(text) < 200 and "\n" not in text for text in described.values())
