"""The path of a pretrained model: a folder, a chat template, LoRA, a lake; with weights that are small and know nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.types import Message
from codagent_train.policy.load import load_policy
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import BatchConfig, ReplyConfig, read_recipe
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training import logprobs
from codagent_train.training.trainer import Trainer, train
from tests.train.doubles.characters import made, save

pytestmark = pytest.mark.usefixtures("hushed")

TRAIN = Path(sys.executable).parent / "codagent-train"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A two-layer model that reads and writes characters."""
    model, processor = made()
    with torch.no_grad():  # when it is its turn it mostly says a digit that is an action
        hidden = model.model(input_ids=torch.tensor([processor("<assistant>").input_ids])).last_hidden_state[0, -1]
        model.lm_head.weight[processor("1234").input_ids] = hidden / 4
    return save(model, processor, tmp_path_factory.mktemp("weights"))


@pytest.fixture
def lake(folder):
    toy = read_recipe("toy")
    return replace(
        toy,
        policy=replace(toy.policy, weights=str(folder), lora_rank=4),
        environment=EnvironmentConfig("frozenlake", tasks=2),
        batch=BatchConfig(packs=4, group_size=4, microbatches=2),
        replies=ReplyConfig(max_tokens=3, notes_tokens=20, context_tokens=20_000),
        learning=replace(toy.learning, steps=1),
    )


def test_what_was_said_is_rendered_by_the_template_and_read_back(lake):
    tokenizer = load_policy(lake.policy, seed=0).tokenizer
    ids = tokenizer.encode((Message("system", "be brief"), Message("user", "1?")))
    assert tokenizer.decode(ids) == "be brief1?"
    assert len(ids) == len("be brief1?") + 5


def test_an_adapter_is_trained_and_the_weights_beneath_it_are_not(lake, folder, tmp_path):
    checkpoints.begin_run(tmp_path, lake)
    loaded = load_policy(lake.policy, seed=0)
    before = {name: each.clone() for name, each in loaded.model.state_dict().items()}
    train(lake, loaded, tmp_path)
    lines = metrics.read(tmp_path / metrics.FILE)
    assert [line["step"] for line in lines] == [1]
    assert lines[0]["rows/count"] > 0
    assert all(line["drift/mean"] < 1e-5 and line["rows/clipped_share"] == 0 for line in lines)  # trained on as it was sampled
    assert all(0 < line["drift/largest"] < 1e-4 for line in lines)
    saved = json.loads((tmp_path / "checkpoint-1" / "adapter_config.json").read_text())
    assert (saved["r"], saved["base_model_name_or_path"]) == (4, str(folder))
    after = {name.replace(".base_layer", ""): each for name, each in loaded.model.state_dict().items()}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_layers_alone_are_trained_where_the_recipe_says_so(lake, tmp_path):
    whole = replace(lake, policy=replace(lake.policy, lora_rank=0, layers=1))
    loaded = load_policy(whole.policy, seed=0)
    before = {name: each.clone() for name, each in loaded.model.state_dict().items()}
    checkpoints.begin_run(tmp_path, whole)
    train(whole, loaded, tmp_path)
    changed = {name for name, each in loaded.model.state_dict().items() if not torch.equal(before[name], each)}
    assert changed
    assert all(name.startswith("model.layers.1.") for name in changed)


def test_the_last_layers_alone_have_an_adapter_where_the_recipe_says_so(lake, tmp_path):
    checkpoints.begin_run(tmp_path, lake)
    trained = {}
    for layers in (0, 1):
        setting = replace(lake.policy, layers=layers)
        trainer = Trainer(replace(lake, policy=setting), load_policy(setting, seed=0), tmp_path)
        names = [name for name, each in trainer.model.named_parameters() if each.requires_grad]
        trained[layers] = {re.search(r"layers\.(\d)\.", name)[1] for name in names}
    assert trained == {0: {"0", "1"}, 1: {"1"}}


def test_bf16_on_a_cpu_is_for_computing_and_the_weights_stay_as_they_are(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(logprobs, "PART_TOKENS", 10**6)  # all rows together, unlike in sampling
    half = replace(lake, policy=replace(lake.policy, bf16=True))
    loaded = load_policy(half.policy, seed=0)
    checkpoints.begin_run(tmp_path, half)
    train(half, loaded, tmp_path)
    assert {each.dtype for each in loaded.model.parameters()} == {torch.float32}
    (line,) = metrics.read(tmp_path / metrics.FILE)
    assert 0 < line["drift/mean"] < 0.05  # sampled in bf16 as well, in other batches


def test_a_folder_without_weights_and_a_model_that_cannot_converse_are_refused(lake, folder, tmp_path):
    with pytest.raises(UsageError, match=r"the folder .* cannot be loaded"):
        load_policy(replace(lake.policy, weights=str(tmp_path)), seed=0)
    mute = tmp_path / "mute"
    mute.mkdir()
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (mute / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="has no chat template"):
        load_policy(replace(lake.policy, weights=str(mute)), seed=0)


def test_weights_that_are_cut_off_are_refused(lake, folder, tmp_path):
    torn = tmp_path / "torn"
    torn.mkdir()
    for file in folder.iterdir():
        (torn / file.name).write_bytes(file.read_bytes()[: 500 if file.suffix == ".safetensors" else None])
    with pytest.raises(UsageError, match=r"the folder .*torn cannot be loaded: .*; see `codagent-train import`"):
        load_policy(replace(lake.policy, weights=str(torn)), seed=0)


@pytest.fixture
def run(lake, tmp_path):
    """The folder of a run that took a step far enough to be seen, and its policy as it was then."""
    out, bold = tmp_path / "run", replace(lake, learning=replace(lake.learning, learning_rate=0.1))
    loaded = load_policy(bold.policy, seed=0)
    checkpoints.begin_run(out, bold)
    train(bold, loaded, out)
    return out, loaded


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([ids])).logits


def test_a_checkpoint_that_is_an_adapter_is_loaded_onto_its_base(run, lake):
    out, trained = run
    again = load_policy(replace(lake.policy, weights=str(out / "checkpoint-1")), seed=0)
    ids = again.tokenizer.encode((Message("user", "which way?"),))
    assert torch.equal(logits(again.model, ids), logits(trained.model, ids))
    assert not torch.equal(logits(again.model, ids), logits(load_policy(lake.policy, seed=0).model, ids))
    assert again.ends == trained.ends


def test_a_run_is_evaluated_from_its_folder(run, tmp_path):
    out, _ = run
    file = tmp_path / "reports.json"
    command = [TRAIN, "eval", out, "--packs", "3", "--loops", "2", "--notes", "frozen", "--json", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "**run@1** on easy, 2 tasks, with the untrained model's notes: 3 packs, 6 loops\n\n|  | position 0 | position 1 |"
    )
    assert done.stderr.splitlines()[-1] == "codagent-train: run@1 on easy, 2 tasks, with the untrained model's notes: 0 of 6 loops played"
    (read,) = json.loads(file.read_text())
    assert (read["player"], read["setting"]["notes"], len(read["reward"])) == ("run@1", "frozen", 2)
