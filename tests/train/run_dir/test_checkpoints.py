"""The folder of a run: begun once, gone on with as it was, whole at every moment."""

import json

import pytest
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.recipe.schema import read_recipe
from codagent_train.run_dir import checkpoints, metrics

TOY = read_recipe("toy")


def saved(out, *steps):
    for step in steps:
        (checkpoints.unfinished_dir(out) / f"checkpoint-{step}").mkdir(parents=True)
        checkpoints.publish(out, step)


def test_a_run_that_has_taken_steps_is_not_begun_again_but_one_that_failed_at_once_is(tmp_path):
    checkpoints.begin_run(tmp_path, TOY)
    checkpoints.begin_run(tmp_path, replace(TOY, seed=1))
    assert checkpoints.load_seed(tmp_path) == 1
    metrics.append(tmp_path / metrics.FILE, 1, {})
    with pytest.raises(UsageError, match="--resume"):
        checkpoints.begin_run(tmp_path, TOY)


def test_there_is_no_going_on_where_nothing_began(tmp_path):
    with pytest.raises(UsageError, match="no run in"):
        checkpoints.resume_run(tmp_path, TOY)


def test_a_run_goes_on_with_its_own_recipe_only_but_as_long_as_one_likes(tmp_path):
    checkpoints.begin_run(tmp_path, TOY)
    assert checkpoints.resume_run(tmp_path, replace(TOY, learning=replace(TOY.learning, steps=999))) is None
    with pytest.raises(UsageError, match="had another seed: 0, not 1"):
        checkpoints.resume_run(tmp_path, replace(TOY, seed=1))


def test_the_last_two_checkpoints_are_kept_and_one_that_is_not_whole_does_not_count(tmp_path):
    checkpoints.begin_run(tmp_path, TOY)
    saved(tmp_path, 9, 10, 11)
    (checkpoints.unfinished_dir(tmp_path) / "checkpoint-12").mkdir()
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-11"]
    assert checkpoints.resume_run(tmp_path, TOY) == tmp_path / "checkpoint-11"
    assert not checkpoints.unfinished_dir(tmp_path).exists()


def test_what_was_measured_after_the_checkpoint_is_forgotten(tmp_path):
    checkpoints.begin_run(tmp_path, TOY)
    file = tmp_path / metrics.FILE
    for step in (1, 2, 3):
        metrics.append(file, step, {"loss/total": step / 2})
    with file.open("a") as torn:
        torn.write('{"step": 4, "loss')
    saved(tmp_path, 2)
    checkpoints.resume_run(tmp_path, TOY)
    assert [json.loads(line) for line in file.read_text().splitlines()] == [{"step": 1, "loss/total": 0.5}, {"step": 2, "loss/total": 1.0}]


def test_only_the_first_of_several_processes_touches_the_folder(tmp_path):
    assert checkpoints.prepare_run(tmp_path / "out", TOY, resume=False, first=False) is None
    assert not (tmp_path / "out").exists()
    checkpoints.prepare_run(tmp_path / "out", TOY, resume=False)
    saved(tmp_path / "out", 7)
    assert checkpoints.prepare_run(tmp_path / "out", TOY, resume=True, first=False) == tmp_path / "out" / "checkpoint-7"


def test_a_run_whose_recipe_says_less_goes_on_with_what_that_meant(tmp_path):
    checkpoints.begin_run(tmp_path, TOY)
    told = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({name: part for name, part in told.items() if name != "records"}))
    assert checkpoints.resume_run(tmp_path, TOY) is None
    with pytest.raises(UsageError, match="another records"):
        checkpoints.resume_run(tmp_path, replace(TOY, records=replace(TOY.records, max_staleness=1)))
