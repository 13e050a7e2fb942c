"""The path of a pretrained model: a folder, a chat template, LoRA, a lake; with weights that are small and know nothing."""

import json
import re
import shutil

import pytest
import torch
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.types import Message, Sampling
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.policy.load import can_find_hub, choose_dtype, load_policy
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import BatchConfig, PolicyConfig, ReplyConfig, read_recipe
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training.trainer import Trainer, train
from tests.train.command import run_train
from tests.train.doubles.characters import made, save

pytestmark = pytest.mark.usefixtures("hushed")


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


def test_bf16_on_a_cpu_is_for_computing_and_the_weights_stay_as_they_are(lake, tmp_path):
    half = replace(lake, policy=replace(lake.policy, bf16=True))
    loaded = load_policy(half.policy, seed=0)
    checkpoints.begin_run(tmp_path, half)
    train(half, loaded, tmp_path)
    assert {each.dtype for each in loaded.model.parameters()} == {torch.float32}
    (line,) = metrics.read(tmp_path / metrics.FILE)
    assert line["drift/largest"] < 0.05  # sampled in bf16 as well


def test_replies_are_sampled_in_bf16_where_training_computes_in_it(lake, tmp_path):
    half = replace(lake, policy=replace(lake.policy, bf16=True, lora_rank=0))
    trainer = Trainer(half, load_policy(half.policy, seed=0), tmp_path)
    (tokens,) = trainer._make_sampler(0).engine.generate([(1, 2, 3)], [Sampling(1.0, 1.0, 0, 8, 5)])
    whole = load_policy(replace(half.policy, bf16=False), seed=0).model
    exact = logits(whole, [*tokens.prompt_ids, *tokens.completion_ids])[0].log_softmax(-1)
    expected = [exact[2 + place, token].item() for place, token in enumerate(tokens.completion_ids)]
    assert 0 < max(abs(mine - other) for mine, other in zip(tokens.logprobs, expected, strict=True)) < 0.1


@pytest.mark.parametrize(
    ("changes", "to_train", "expected"),
    [
        ({"device": "cuda"}, True, torch.float32),  # its steps are far smaller than bfloat16 can tell apart
        ({"device": "cuda", "lora_rank": 4}, True, torch.bfloat16),
        ({"device": "cuda"}, False, torch.bfloat16),
        ({}, True, torch.float32),
        ({}, False, torch.float32),
    ],
)
def test_weights_that_are_trained_themselves_are_in_float32(changes, to_train, expected):
    assert choose_dtype(PolicyConfig("x", **changes), to_train=to_train) == expected


def test_a_step_of_the_papers_rate_moves_float32_weights_as_it_should_and_is_lost_in_bfloat16():
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        weights = torch.nn.Parameter(torch.full((100,), 0.02, dtype=dtype))
        optimizer = torch.optim.AdamW([weights], lr=1e-6, weight_decay=0.0)
        for _ in range(10):
            weights.grad = torch.ones_like(weights)
            optimizer.step()
        moved[dtype] = (0.02 - weights.float().mean()).item()
    assert moved[torch.float32] == pytest.approx(1e-5, rel=1e-3)
    assert abs(moved[torch.bfloat16]) < 1e-4  # only that 0.02 itself was rounded
    assert torch.nn.Parameter(torch.full((1,), 0.02, dtype=torch.bfloat16)).float().item() == pytest.approx(0.02 - moved[torch.bfloat16])


def test_a_model_that_thinks_by_default_is_told_not_to_also_by_whoever_loads_the_checkpoint(lake, folder, tmp_path):
    thinking = shutil.copytree(folder, tmp_path / "thinking")
    text = "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking is defined and enable_thinking is false %}12{% endif %}"
    (thinking / "chat_template.jinja").write_text(text)
    asked = (Message("user", "3"),)
    policy = replace(lake.policy, weights=str(thinking))
    thinks = load_policy(policy, seed=0)
    silent = load_policy(replace(policy, enable_thinking=False), seed=0)
    assert [thinks.tokenizer.decode(each.tokenizer.encode(asked)) for each in (thinks, silent)] == ["3", "312"]
    silent.model.save_pretrained(tmp_path / "saved")
    silent.processor.save_pretrained(tmp_path / "saved")
    again = replace(policy, weights=str(tmp_path / "saved"))
    assert thinks.tokenizer.decode(load_policy(again, seed=0).tokenizer.encode(asked)) == "312"
    assert load_policy(replace(again, enable_thinking=False), seed=0).processor.chat_template.count("set enable_thinking") == 1


def test_a_model_of_words_is_loaded_with_its_words(tmp_path):
    lessons = read_recipe("lessons")
    made = load_policy(lessons.policy, seed=0, vocabulary=VOCABULARY)
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    loaded = load_policy(replace(lessons.policy, weights=str(tmp_path)), seed=0)
    assert loaded.tokenizer is VOCABULARY
    assert loaded.ends == {0, 1, 2, 3}
    assert torch.equal(logits(made.model, [1, 2, 3]), logits(loaded.model, [1, 2, 3]))


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
    done = run_train("eval", out, "--packs", "3", "--loops", "2", "--notes", "frozen", "--json", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "**run@1** on easy, 2 tasks, with the untrained model's notes: 3 packs, 6 loops\n\n|  | position 0 | position 1 |"
    )
    assert done.stderr.splitlines()[-1] == "codagent-train: run@1 on easy, 2 tasks, with the untrained model's notes: 0 of 6 loops played"
    (read,) = json.loads(file.read_text())
    assert (read["player"], read["setting"]["notes"], len(read["reward"])) == ("run@1", "frozen", 2)


@pytest.mark.parametrize(
    ("endpoint", "proxy", "found"),
    [("http://127.0.0.1:9", "", True), ("http://nowhere.invalid", "", False), ("http://nowhere.invalid", "http://127.0.0.1:9", True)],
)
def test_a_hub_without_an_address_is_not_asked_for_weights(monkeypatch, endpoint, proxy, found):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    assert can_find_hub() == found
