"""`codagent-train run`, as a person runs it."""

import json
import re
from pathlib import Path

import pytest

from tests.train.command import run_train

pytestmark = pytest.mark.usefixtures("hushed")

SHIPPED = Path(__file__).parents[3] / "train/codagent_train/recipe/shipped"
TOY = (SHIPPED / "toy.toml").read_text()


def run(*arguments):
    return run_train("run", *arguments)


def test_a_run_goes_from_a_recipe_to_a_checkpoint_and_no_further_than_it_says(tmp_path):
    recipe, out = tmp_path / "short.toml", tmp_path / "out"
    recipe.write_text(
        TOY.replace("steps = 150", "steps = 5").replace("packs = 16", "packs = 4").replace("save_every = 50", "save_every = 3")
    )
    done = run(recipe, "--out", out, "--seed", 4)
    assert (done.returncode, done.stdout) == (0, f"{out}/checkpoint-5\n"), done.stderr
    first, last, following = done.stderr.splitlines()
    assert following.startswith(f"codagent-train: next: `codagent-train plot {out}`")
    assert first == f"codagent-train: {recipe}, seed 4, 5 steps, into {out}"
    assert last.startswith("step 5 of 5 · reward by position")
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4, 5]
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint-3", "checkpoint-5", "metrics.jsonl", "run.json"]
    again = run(recipe, "--out", out)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr


def test_a_recipe_that_is_wrong_is_refused_before_anything_is_made(tmp_path):
    recipe = tmp_path / "wrong.toml"
    recipe.write_text(TOY.replace("group_size = 8", "group_size = 1"))
    done = run(recipe, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"codagent-train: {recipe}: [batch] group_size: a group of one loop")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_nowhere_are_a_usage_error(tmp_path):
    recipe = tmp_path / "nowhere.toml"
    recipe.write_text(TOY.replace('"random"', f'"{tmp_path}/nothing"'))
    done = run(recipe, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "nothing cannot be loaded" in done.stderr


def test_a_run_goes_on_from_the_last_checkpoint_of_another_run(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for name in ("lessons", "lake"):
        text = re.sub(r"\nsteps = \d+", "\nsteps = 1", (SHIPPED / f"{name}.toml").read_text())
        (tmp_path / f"{name}.toml").write_text(re.sub(r"\npacks = \d+", "\npacks = 2", text))
    lessons, recipe = tmp_path / "lessons.toml", tmp_path / "lake.toml"
    assert run(lessons, "--out", first).returncode == 0
    done = run(recipe, "--out", second, "--weights", first, "--seed", 7)
    assert (done.returncode, done.stdout) == (0, f"{second}/checkpoint-1\n"), done.stderr
    assert str(first / "checkpoint-1") in (second / "run.json").read_text()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "run.json").write_text((first / "run.json").read_text())
    done = run(recipe, "--out", tmp_path / "third", "--weights", tmp_path / "empty")
    assert (done.returncode, "checkpoint" in done.stderr, (tmp_path / "third").exists()) == (2, True, False), done.stderr


def test_a_run_that_leads_nowhere_has_an_exit_code_of_its_own_and_keeps_its_last_good_checkpoint(tmp_path):
    recipe, out = tmp_path / "wild.toml", tmp_path / "out"
    wild = TOY.replace("learning_rate = 1e-3", "learning_rate = 1e15").replace("save_every = 50", "save_every = 1")
    recipe.write_text(wild.replace("packs = 16", "packs = 4"))
    done = run(recipe, "--out", out)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (10, "", False)
    assert "start again with a lower `learning_rate` in [learning]" in done.stderr
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-1"]
