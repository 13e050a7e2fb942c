"""Weights and checkpoints that are damaged, or hold code: every command that loads them ends with a sentence and the exit code for it."""

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch

from codagent_train import cli
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import read_recipe
from codagent_train.run_dir import checkpoints
from codagent_train.training.trainer import train
from tests.train.doubles.characters import made, save
from tests.train.serving.test_hostile_adapters import BAD as BAD_ADAPTERS

RECIPES = Path(__file__).parents[3] / "train/codagent_train/recipe/shipped"
WHOLE, BIN, CONFIG, WORDS, SAID = "model.safetensors", "pytorch_model.bin", "config.json", "tokenizer.json", "tokenizer_config.json"
DEEP = b"[" * 50_000 + b"]" * 50_000
HARM = Path(__file__).parent / "HARM"  # is made when code runs that should not
CODE = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model", "AutoTokenizer": ["code.Words", None]}


class Code:
    def __reduce__(self):
        return os.mkdir, (str(HARM),)


def written(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def said(name, **fields):
    def spoil(folder):
        (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | fields))

    return spoil


def instead(name, make):
    """Not safetensors, but this."""

    def spoil(folder):
        (folder / WHOLE).unlink()
        make(folder / name)

    return spoil


def coded(folder):
    (folder / "code.py").write_text(f"import os\nos.mkdir({str(HARM)!r})\n")
    for name in (CONFIG, SAID):
        said(name, auto_map=CODE)(folder)
    said(CONFIG, model_type="x")(folder)
    said(SAID, tokenizer_class="Words")(folder)


def cut(folder):
    data = (folder / WHOLE).read_bytes()
    (folder / WHOLE).write_bytes(data[: len(data) // 2])


BAD = {
    "a pickle of code": instead(BIN, lambda file: torch.save({"x": Code()}, file)),
    "a bare pickle of code": instead(BIN, lambda file: file.write_bytes(pickle.dumps(Code()))),
    "a pickle under the other name": instead(WHOLE, lambda file: torch.save({"x": Code()}, file)),
    "a pickle of a list": instead(BIN, lambda file: torch.save([1], file)),
    "nothing as a pickle": instead(BIN, lambda file: file.touch()),
    "an index to a pickle": lambda folder: (
        instead(BIN, lambda file: torch.save({"x": Code()}, file))(folder),
        (folder / f"{WHOLE}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"lm_head.weight": BIN}})),
    ),
    "an index that is a list": instead(f"{WHOLE}.index.json", lambda file: file.write_text("[]")),
    "a deep index": instead(f"{WHOLE}.index.json", lambda file: file.write_bytes(DEEP)),
    "code": coded,
    "cut off": cut,
    "empty": written(WHOLE, b""),
    "a deep head": written(WHOLE, len(DEEP).to_bytes(8, "little") + DEEP),
    "a pipe": instead(WHOLE, os.mkfifo),
    "a device": instead(WHOLE, lambda file: file.symlink_to("/dev/zero")),
    "settings that are a list": written(CONFIG, b"[]"),
    "deep settings": written(CONFIG, DEEP),
    "no settings": lambda folder: (folder / CONFIG).unlink(),
    "settings from a pipe": lambda folder: ((folder / CONFIG).unlink(), os.mkfifo(folder / CONFIG)),
    "an unknown kind": said(CONFIG, model_type="x", architectures=["X"]),
    "sizes of text": said(CONFIG, hidden_size="x"),
    "no layers": said(CONFIG, num_hidden_layers=-1, num_attention_heads=0),
}
SPOKEN = {
    "a tokenizer that is a list": written(WORDS, b"[]"),
    "a deep tokenizer": written(WORDS, DEEP),
    "a tokenizer of nothing": written(WORDS, b"{}"),
    "a tokenizer of another kind": written(WORDS, b'{"version": "1.0", "model": {"type": "X"}, "added_tokens": []}'),
    "bytes as a tokenizer": written(WORDS, b"\xff\x00"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return save(*made(), tmp_path_factory.mktemp("whole") / "weights")


@pytest.fixture
def ended(monkeypatch, capfd):
    """The exit code of a command, and the last line that it said."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["codagent-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        told = capfd.readouterr().err
        assert "Traceback" not in told
        return caught.value.code, told.splitlines()[-1]

    return run


def commands(folder, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text((RECIPES / "toy.toml").read_text().replace('"random"', f'"{folder}"'))
    out = tmp_path / "out"
    return {
        "serve": ("serve", folder, "--engine", "local"),
        "eval": ("eval", folder, "--recipe", "frozenlake", "--packs", 2),
        "run": ("run", recipe, "--out", out / "run"),
        "check": ("check", recipe),
        "import": ("import", folder, "--out", out / "imported"),
        "merged": ("export", folder, "--to", "merged", "--out", out / "merged"),
        "hub": ("export", folder, "--to", "hub-folder", "--out", out / "hub"),
    }


@pytest.mark.parametrize("name", BAD | SPOKEN)
def test_bad_weights_end_each_command_with_a_sentence_and_2(whole, tmp_path, ended, name):
    folder = shutil.copytree(whole, tmp_path / "weights")
    (BAD | SPOKEN)[name](folder)
    careless = {"hub"} if name not in ("cut off", "empty", "a deep head") else set()  # what copies files reads their heads alone
    if name in SPOKEN or name in ("code", "an unknown kind"):
        careless.add("check")  # what reads sizes alone
    seen = {}
    for command, arguments in commands(folder, tmp_path).items():
        if command not in careless:
            seen[command], line = ended(*arguments)
            print(f"{name}: {command}: {line}")
            assert (command, line.startswith("codagent-train: ")) == (command, True)
    assert set(seen.values()) == {2}
    assert not HARM.exists()


@pytest.mark.parametrize("name", BAD_ADAPTERS)
def test_bad_adapters_end_each_command_without_a_traceback(adapters, tmp_path, ended, name):
    folder = shutil.copytree(adapters[0], tmp_path / "adapter")
    BAD_ADAPTERS[name](folder)
    codes = [
        ended(*arguments)[0]
        for arguments in (
            ("serve", folder, "--engine", "local"),
            ("export", folder, "--to", "merged", "--out", tmp_path / "merged"),
            ("eval", folder, "--recipe", "frozenlake", "--packs", 2),
        )
    ]
    assert set(codes) == {2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recipe, and the folder of a run of it that has taken two steps of three."""
    recipe, out = tmp_path_factory.mktemp("run") / "short.toml", tmp_path_factory.mktemp("run") / "out"
    text = (RECIPES / "toy.toml").read_text().replace("packs = 16", "packs = 4").replace("group_size = 8", "group_size = 4")
    recipe.write_text(text.replace("steps = 150", "steps = 2").replace("save_every = 50", "save_every = 2"))
    given = read_recipe(str(recipe))
    checkpoints.begin_run(out, given)
    train(given, load_policy(given.policy, seed=given.seed), out)
    recipe.write_text(recipe.read_text().replace("steps = 2", "steps = 3"))
    return recipe, out


STATES = {
    "code in the optimizer's": lambda folder: torch.save({"x": Code()}, folder / "optimizer.pt"),
    "code in the scheduler's": lambda folder: torch.save({"x": Code()}, folder / "scheduler.pt"),
    "code in the generators'": lambda folder: torch.save({"x": Code()}, folder / "rng_state.pth"),
    "a bare pickle": lambda folder: (folder / "optimizer.pt").write_bytes(pickle.dumps(Code())),
    "a list for the optimizer": lambda folder: torch.save([1], folder / "optimizer.pt"),
    "another model's optimizer": lambda folder: torch.save({"state": {}, "param_groups": []}, folder / "optimizer.pt"),
    "no generators in their file": lambda folder: torch.save({}, folder / "rng_state.pth"),
    "nothing in the optimizer's": written("optimizer.pt", b""),
    "no optimizer": lambda folder: (folder / "optimizer.pt").unlink(),
    "a pipe": lambda folder: ((folder / "scheduler.pt").unlink(), os.mkfifo(folder / "scheduler.pt")),
    "cut off": cut,
    "code for weights": instead(BIN, lambda file: torch.save({"x": Code()}, file)),
    "no weights": lambda folder: (folder / WHOLE).unlink(),
    "deep": written("trainer_state.json", DEEP),
    "a list": written("trainer_state.json", b"[]"),
    "another step": said("trainer_state.json", global_step=7),
    "a step of text": said("trainer_state.json", global_step="2"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_damaged_checkpoint_is_not_gone_on_from_and_ends_the_command_with_7(run, tmp_path, ended, name):
    recipe, out = run[0], shutil.copytree(run[1], tmp_path / "out")
    STATES[name](out / "checkpoint-2")
    code, line = ended("run", recipe, "--out", out, "--resume")
    print(line)
    assert (code, f"the checkpoint {out}/checkpoint-2 cannot be gone on from: " in line) == (7, True)
    assert not HARM.exists()


def test_a_folder_that_is_called_almost_like_a_checkpoint_is_none(run, tmp_path, ended):
    out = shutil.copytree(run[1], tmp_path / "out")
    for name in ("checkpoint-last", "checkpoint-", "checkpoint-3.old"):
        (out / name).mkdir()
    assert checkpoints.find_latest(out) == out / "checkpoint-2"


@pytest.mark.parametrize("text", ["[]", "5", "{}", '{"seed": "x"}', '{"seed": Infinity}', "[" * 50_000, '{"seed": 1, "learning": 5}'])
def test_a_damaged_recipe_of_a_run_is_a_usage_error(run, tmp_path, ended, text):
    out = shutil.copytree(run[1], tmp_path / "out")
    (out / "run.json").write_text(text)
    assert ended("run", run[0], "--out", out, "--resume")[0] == 2
