"""Which weights a text names, answered once for all commands."""

import json
import sys

import pytest

from codagent.errors import UsageError
from codagent_train.cli import main
from codagent_train.recipe.schema import read_recipe
from codagent_train.run_dir import checkpoints
from codagent_train.run_dir.weights_ref import WeightsRef, name_base, resolve
from tests.train.doubles.weights import save_adapter, save_weights

GIVE = "give a run, a checkpoint, an adapter, a folder of weights, or OWNER/NAME of the hub"


@pytest.fixture
def run(tmp_path):
    """A run that trains an adapter and has saved it twice."""
    out = tmp_path / "runs" / "first"
    checkpoints.begin_run(out, read_recipe("smoke"))
    for step in (5, 10):
        save_adapter(out / f"checkpoint-{step}")
    return out


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-3])


def test_a_run_stands_for_its_last_checkpoint(run):
    assert resolve(str(run)) == WeightsRef("some/base", "first@10", run / "checkpoint-10", run, 10)


def test_a_checkpoint_is_of_its_run(run):
    assert resolve(str(run / "checkpoint-5")) == WeightsRef("some/base", "first@5", run / "checkpoint-5", run, 5)


def test_a_checkpoint_of_whole_weights_is_its_own_base(tmp_path):
    checkpoints.begin_run(tmp_path / "run", read_recipe("toy"))
    folder = save_weights(tmp_path / "run" / "checkpoint-3")
    assert resolve(str(tmp_path / "run")) == WeightsRef(str(folder), "run@3", None, tmp_path / "run", 3)


def test_a_checkpoint_outside_of_its_run_keeps_its_name_and_step(tmp_path):
    folder = save_adapter(tmp_path / "kept" / "checkpoint-7")
    assert resolve(str(folder)) == WeightsRef("some/base", "kept@7", folder, None, 7)


def test_an_adapter_has_the_name_of_its_folder(tmp_path):
    folder = save_adapter(tmp_path / "mine", base="/weights/of/it")
    assert resolve(str(folder)) == WeightsRef("/weights/of/it", "mine", folder)


def test_a_folder_of_weights_is_the_same_from_wherever_it_is_named(tmp_path, monkeypatch):
    folder = save_weights(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = (str(folder), "weights", "./weights/", "../" + tmp_path.name + "/weights", "~/weights")
    assert {resolve(name) for name in names} == {WeightsRef(str(folder), "weights")}
    monkeypatch.chdir(folder)
    assert resolve(".") == WeightsRef(str(folder), "weights")


@pytest.mark.parametrize("name", ["gpt2", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_a_name_on_the_hub_is_kept_as_it_is(name):
    assert resolve(name) == WeightsRef(name, name)


def test_what_is_loaded_is_the_adapter_or_the_whole_weights(run, tmp_path):
    named = (str(run), str(save_weights(tmp_path / "weights")), "some/model")
    assert [resolve(name).location for name in named] == [str(run / "checkpoint-10"), str(tmp_path / "weights"), "some/model"]


def test_links_to_a_run_and_to_a_checkpoint_are_that_run_and_that_checkpoint(run, tmp_path):
    (tmp_path / "best").symlink_to(run)
    (tmp_path / "latest").symlink_to(run / "checkpoint-5")
    assert resolve(str(tmp_path / "best")) == resolve(str(run))
    assert resolve(str(tmp_path / "best" / "checkpoint-5")) == resolve(str(run / "checkpoint-5"))
    assert resolve(str(tmp_path / "latest")) == resolve(str(run / "checkpoint-5"))


def test_a_folder_for_a_hub_is_weights_though_a_recipe_lies_beside_them(tmp_path):
    checkpoints.begin_run(tmp_path / "hub", read_recipe("smoke"))
    folder = save_adapter(tmp_path / "hub")
    assert resolve(str(folder)) == WeightsRef("some/base", "hub", folder, folder)


def test_a_checkpoint_that_is_being_written_does_not_count(run):
    save_adapter(checkpoints.unfinished_dir(run) / "checkpoint-15")
    (run / "checkpoint-old").mkdir()
    assert resolve(str(run)).step == 10


def half_run(run):
    (run / "checkpoint-10" / "adapter_model.safetensors").unlink()
    return run


def cut_run(run):
    cut_off(run / "checkpoint-10" / "adapter_model.safetensors")
    return run


def empty_run(run):
    checkpoints.begin_run(run.parent / "second", read_recipe("smoke"))
    save_adapter(checkpoints.unfinished_dir(run.parent / "second") / "checkpoint-1")
    return run.parent / "second"


def empty_folder(run):
    (run.parent / "nothing").mkdir()
    return run.parent / "nothing"


def no_base(run):
    (run / "checkpoint-5" / "adapter_config.json").write_text(json.dumps({"r": 8}))
    return run / "checkpoint-5"


def torn_config(run):
    (run / "checkpoint-5" / "adapter_config.json").write_text('{"r": 8')
    return run / "checkpoint-5"


def cut_weights(run):
    folder = save_weights(run.parent / "weights")
    cut_off(folder / "model.safetensors")
    return folder


def missing_part(run):
    folder = save_weights(run.parent / "weights", "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    )
    return folder


def torn_index(run):
    folder = save_weights(run.parent / "weights", "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text("[")
    return folder


def no_folder(run):
    return run.parent / "gone"


def a_file(run):
    return run / "run.json"


def no_text(_):
    return " "


WRONG = {
    half_run: "there are no weights in {run}/checkpoint-10: no adapter_model.safetensors; give the folder of a checkpoint",
    cut_run: "{run}/checkpoint-10/adapter_model.safetensors cannot be read: ",
    empty_run: "the run in {path} has no checkpoint yet; wait for the first one, or give the weights that the run began with",
    empty_folder: "there are no weights in {path}: no *.safetensors; " + GIVE,
    no_base: "there is no adapter in {path}: no adapter_config.json that names its base; give the folder of a checkpoint",
    torn_config: "there is no adapter in {path}: no adapter_config.json that names its base; give the folder of a checkpoint",
    cut_weights: "{path}/model.safetensors cannot be read: ",
    missing_part: "{path}/model-2.safetensors cannot be read: ",
    torn_index: "{path}/model.safetensors.index.json cannot be read; give another checkpoint",
    no_folder: "there is no folder {path}; " + GIVE,
    a_file: "{path} is a file, not a folder; " + GIVE,
    no_text: "no weights are named; " + GIVE,
}


@pytest.mark.parametrize("make", WRONG)
def test_a_wrong_input_is_refused_in_one_sentence(make, run):
    path = make(run)
    with pytest.raises(UsageError) as refused:
        resolve(str(path))
    assert str(refused.value).startswith(WRONG[make].format(run=run, path=path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("make", WRONG)
def test_all_commands_refuse_a_wrong_input_with_the_same_sentence(make, run, tmp_path, monkeypatch, capsys):
    path = str(make(run))
    with pytest.raises(UsageError) as refused:
        resolve(path)
    export = ("export", "--to", "merged", "--out", str(tmp_path / "out"))
    for command in (("eval",), ("eval", "--recipe", "smoke"), export, ("serve",), ("serve", "--engine", "vllm")):
        monkeypatch.setattr(sys, "argv", ["codagent-train", *command, path])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, capsys.readouterr()) == (2, ("", f"codagent-train: {refused.value}\n"))


def test_the_base_of_an_adapter_is_named_and_other_weights_are_their_own(tmp_path):
    assert name_base(str(save_adapter(tmp_path / "adapter", base="/some/base"))) == "/some/base"
    assert name_base(str(save_weights(tmp_path / "whole"))) == str(tmp_path / "whole")
    assert name_base("some/model") == "some/model"
