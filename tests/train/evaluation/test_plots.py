"""The figure: its numbers, and that it is there."""

import pytest
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.evaluation.plots import draw, reachable_rewards, smooth
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import read_recipe
from codagent_train.run_dir import checkpoints, metrics
from tests.train.command import run_train

EASY = EnvironmentConfig("frozenlake", "easy", tasks=4)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def out(tmp_path):
    """The folder of a run of ten steps."""
    checkpoints.begin_run(tmp_path, replace(read_recipe("smoke"), environment=EASY))
    for step in range(1, 11):
        values = {f"reward/position_{position}": step / 20 + position / 10 for position in range(4)}
        metrics.append(tmp_path / metrics.FILE, step, values | {"margin/position_0": 0.05, "loss/policy": 1.0})
    return tmp_path


def plot(*arguments):
    return run_train("plot", *arguments)


def test_the_command_draws_a_picture_and_says_where(out):
    done = plot(out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}/reward.png\n"
    assert (out / "reward.png").read_bytes().startswith(PNG)


def test_the_picture_goes_where_it_is_asked_for(out, tmp_path):
    draw(out, tmp_path / "there.png")
    assert (tmp_path / "there.png").read_bytes().startswith(PNG)


def test_a_run_whose_recipe_is_gone_is_drawn_without_tops(out):
    (out / "run.json").unlink()
    draw(out, out / "bare.png")
    assert (out / "bare.png").read_bytes().startswith(PNG)


def test_a_folder_without_a_run_has_nothing_to_draw(tmp_path):
    done = plot(tmp_path)
    assert done.returncode == 2
    assert "there are no rewards" in done.stderr


def test_a_place_that_cannot_be_written_is_said(out):
    with pytest.raises(UsageError, match="cannot be written"):
        draw(out, out / "nowhere" / "there.png")


def test_a_mean_is_of_those_before():
    assert smooth([1.0, 2.0, 3.0, 6.0], 2) == [1.0, 1.5, 2.5, 4.5]
    assert smooth([1.0, 2.0], 1) == [1.0, 2.0]


def test_only_notes_tell_the_keycode():
    assert reachable_rewards(EnvironmentConfig("keycode", tasks=3)) == [0.25, 1.0, 1.0]


def test_the_tops_of_lakes_rise_with_the_position():
    found = reachable_rewards(EASY)
    assert found == sorted(found)
    assert 0.5 < found[0] < 0.7
    assert 0.95 < found[3] < 1
