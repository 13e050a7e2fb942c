"""The path of a pretrained model: a folder, a chat template, LoRA, a lake; with weights that are small and know nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from string import printable

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codagent.errors import UsageError
from codagent.types import Message
from codagent_train import checkpoint, metrics, policy, recipe
from codagent_train.recipe import Batch, Place, Replies
from codagent_train.trainer import train

TRAIN = Path(sys.executable).parent / "codagent-train"
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
MARKS = ["<system>", "<user>", "<assistant>", "<end>", "<none>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A two-layer model that reads and writes characters."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(
        models.WordLevel({character: at for at, character in enumerate(printable)} | {"<none>": len(printable)}, "<none>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    processor = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<none>", additional_special_tokens=MARKS)
    processor.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(processor),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        eos_token_id=processor.eos_token_id,
        bos_token_id=None,
    )
    path = tmp_path_factory.mktemp("weights")
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # when it is its turn it mostly says a digit that is an action
        hidden = model.model(input_ids=torch.tensor([processor("<assistant>").input_ids])).last_hidden_state[0, -1]
        model.lm_head.weight[processor("1234").input_ids] = hidden / 4
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture
def lake(folder):
    toy = recipe.read("toy")
    return replace(
        toy,
        policy=replace(toy.policy, weights=str(folder), lora_rank=4),
        environment=Place("frozenlake", tasks=2),
        batch=Batch(packs=4, loops=4, parts=2),
        replies=Replies(max_tokens=3, notes_tokens=20, context_tokens=20_000),
        learning=replace(toy.learning, steps=1),
    )


def test_what_was_said_is_rendered_by_the_template_and_read_back(lake):
    tokenizer = policy.load(lake.policy, seed=0).tokenizer
    ids = tokenizer.encode((Message("system", "be brief"), Message("user", "1?")))
    assert tokenizer.decode(ids) == "be brief1?"
    assert len(ids) == len("be brief1?") + 5


def test_an_adapter_is_trained_and_the_weights_beneath_it_are_not(lake, folder, tmp_path):
    checkpoint.begin(tmp_path, lake)
    loaded = policy.load(lake.policy, seed=0)
    before = {name: each.clone() for name, each in loaded.model.state_dict().items()}
    train(lake, loaded, tmp_path)
    lines = metrics.read(tmp_path / metrics.FILE)
    assert [line["step"] for line in lines] == [1]
    assert lines[0]["rows/count"] > 0
    assert all(line["drift/mean"] < 1e-5 and line["rows/clipped_share"] == 0 for line in lines)  # trained on as it was sampled
    saved = json.loads((tmp_path / "checkpoint-1" / "adapter_config.json").read_text())
    assert (saved["r"], saved["base_model_name_or_path"]) == (4, str(folder))
    after = {name.replace(".base_layer", ""): each for name, each in loaded.model.state_dict().items()}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_folder_without_weights_and_a_model_that_cannot_converse_are_refused(lake, folder, tmp_path):
    with pytest.raises(UsageError, match=r"the folder .* cannot be loaded"):
        policy.load(replace(lake.policy, weights=str(tmp_path)), seed=0)
    mute = tmp_path / "mute"
    mute.mkdir()
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (mute / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="has no chat template"):
        policy.load(replace(lake.policy, weights=str(mute)), seed=0)


@pytest.fixture
def run(lake, tmp_path):
    """The folder of a run that took a step far enough to be seen, and its policy as it was then."""
    out, bold = tmp_path / "run", replace(lake, learning=replace(lake.learning, rate=0.1))
    loaded = policy.load(bold.policy, seed=0)
    checkpoint.begin(out, bold)
    train(bold, loaded, out)
    return out, loaded


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([ids])).logits


def test_a_checkpoint_that_is_an_adapter_is_loaded_onto_its_base(run, lake):
    out, trained = run
    again = policy.load(replace(lake.policy, weights=str(out / "checkpoint-1")), seed=0)
    ids = again.tokenizer.encode((Message("user", "which way?"),))
    assert torch.equal(logits(again.model, ids), logits(trained.model, ids))
    assert not torch.equal(logits(again.model, ids), logits(policy.load(lake.policy, seed=0).model, ids))
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
