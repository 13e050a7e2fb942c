"""A recipe says all of a run, and what does not fit is refused where it stands."""

from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.recipe.environment_config import LEVELS_OF
from codagent_train.recipe.schema import EngineConfig, RecordsConfig, read_recipe, shipped_recipes

GOOD = """
seed = 3
[policy]
weights = "random"
[environment]
name = "keycode"
[batch]
packs = 3
group_size = 4
microbatches = 2
[replies]
max_tokens = 1
[learning]
steps = 5
learning_rate = 1e-3
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def refused(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        read_recipe(written(folder, GOOD.replace(old, new)))
    return str(caught.value)


def test_what_is_not_said_has_a_default(tmp_path):
    found = read_recipe(written(tmp_path, GOOD))
    assert (found.seed, found.batch.packs, found.learning.clip, found.credit.returns) == (3, 3, 0.2, "paper")


def test_a_seed_given_apart_comes_first(tmp_path):
    assert read_recipe(written(tmp_path, GOOD), seed=0).seed == 0


@pytest.mark.parametrize("name", shipped_recipes())
def test_what_ships_can_be_read(name):
    assert read_recipe(name).learning.steps > 0


def test_an_unknown_key_is_told_with_its_section_and_the_nearest(tmp_path):
    said = refused(tmp_path, "group_size =", "grop_size =")
    assert said.endswith("mine.toml: [batch] unknown key 'grop_size'; did you mean 'group_size'?")
    assert "mine.toml: unknown key 'bach'; did you mean 'batch'?" in refused(tmp_path, "[batch]", "[bach]")


def test_a_value_that_does_not_fit_is_told_what_would(tmp_path):
    assert "mine.toml: [policy] weights must be a text that is not blank, not 3" in refused(tmp_path, '"random"', "3")
    assert f"mine.toml: [environment] name must be one of keycode, {', '.join(LEVELS_OF)}, not 'chess'" in refused(
        tmp_path, "keycode", "chess"
    )
    assert "[policy] bf16 must be true or false, not 1" in refused(tmp_path, '"random"', '"random"\nbf16 = 1')
    assert "[policy] bf16 must be true or false, not a table" in refused(tmp_path, '"random"', '"random"\nbf16 = {a = 1}')
    assert "[learning] clip must be a number from 0 to below 1, not 1" in refused(tmp_path, "steps = 5", "steps = 5\nclip = 1")
    assert "[learning] warmup must be a whole number, 0 or above, not -1" in refused(tmp_path, "steps = 5", "steps = 5\nwarmup = -1")
    assert "[learning] learning_rate must be a number above zero, not nan" in refused(tmp_path, "1e-3", "nan")
    assert "seed must be a whole number, not 'x'" in refused(tmp_path, "seed = 3", "seed = 'x'")
    assert "policy must be a table, [policy], not 3" in refused(tmp_path, '[policy]\nweights = "random"', "policy = 3")


def test_a_key_that_is_missing_is_named(tmp_path):
    said = refused(tmp_path, "learning_rate = 1e-3", "")
    assert "mine.toml: [learning] 'learning_rate' is missing; it must be a number above zero" in said
    assert "mine.toml: 'policy' is missing; it must be a table, [policy]" in refused(tmp_path, '[policy]\nweights = "random"', "")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ('"frozenlake"\nlevel = "huge"', "[environment] level: frozenlake has no level 'huge'; take one of small, easy, hard"),
        ('"control"\nlevel = "fresh"', "[environment] level: control has no level 'fresh'; take one of easy, medium, hard, noisy"),
        ('"alchemy"\nform = "brief"', "[environment] form: alchemy has no form 'brief'; take one of terse, paper, words"),
    ],
)
def test_a_level_or_form_that_the_environment_has_not_is_refused(tmp_path, environment, told):
    assert told in refused(tmp_path, '"keycode"', environment)


MIXED = '"control"\nlevel = "hard"\n[[mixed_with]]\nname = "alchemy"\nlevel = "fresh"\nweight = 2'


def test_environments_can_be_mixed(tmp_path):
    text = GOOD.replace('"random"', '"some/model"').replace('"keycode"', MIXED)
    recipe = read_recipe(written(tmp_path, text))
    assert [(environment.label, environment.weight) for environment in recipe.environments] == [
        ("control-hard", 1.0),
        ("alchemy-fresh", 2.0),
    ]


def test_a_mixed_environment_that_does_not_fit_is_named(tmp_path):
    assert "[[mixed_with]] number 1 level: alchemy has no level 'small'" in refused(tmp_path, '"keycode"', MIXED.replace("fresh", "small"))
    assert "[[mixed_with]] number 1: weight must be a number above zero" in refused(
        tmp_path, '"keycode"', MIXED.replace("weight = 2", "weight = 0")
    )
    twice = MIXED.replace('"alchemy"', '"control"').replace("fresh", "hard")
    assert "twice with the same level: control-hard, control-hard" in refused(tmp_path, '"keycode"', twice)


def test_the_schema_knows_the_levels_of_all_domains():
    assert {name: tuple(domain.levels) for name, domain in DOMAINS.items()} == {name: LEVELS_OF[name] for name in DOMAINS}


def test_an_impossible_batch_is_refused_with_its_numbers(tmp_path):
    assert "mine.toml: [batch] microbatches: 3 packs of 4 loops are 12, which cannot be divided into 5 microbatches" in refused(
        tmp_path, "microbatches = 2", "microbatches = 5"
    )
    assert "a group of one loop" in refused(tmp_path, "group_size = 4", "group_size = 1")
    assert "leaves nothing of a context of 4096" in refused(tmp_path, "max_tokens = 1", "max_tokens = 4096")


def test_a_server_gets_adapters_only_and_samples_at_temperature_1(tmp_path):
    engine = '[engine]\nname = "vllm"\n[learning]'
    assert "[engine] name: a vLLM server is given adapters, not weights; set `lora_rank` in [policy]" in refused(
        tmp_path, "[learning]", engine
    )
    warm = (
        GOOD.replace("[learning]", engine)
        .replace('"random"', '"random"\nlora_rank = 4')
        .replace("[replies]", "[replies]\ntemperature = 0.7")
    )
    with pytest.raises(UsageError, match=r"\[replies\] temperature: a vLLM server tells logprobs before temperature"):
        read_recipe(written(tmp_path, warm))
    assert read_recipe(written(tmp_path, warm.replace("0.7", "1"))).engine == EngineConfig("vllm", "http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("policy", "refusal"),
    [
        ("bf16 = true", True),
        ('device = "cuda"', True),
        ("bf16 = true\nlora_rank = 4", True),
        ('device = "cuda"\nlora_rank = 4', False),
        ("bf16 = false", False),
    ],
)
def test_continuous_batching_is_refused_where_float32_is_computed_with_in_bfloat16(tmp_path, policy, refusal):
    text = GOOD.replace("[learning]", '[engine]\nname = "continuous"\n[learning]').replace('"random"', f'"random"\n{policy}')
    if not refusal:
        assert read_recipe(written(tmp_path, text)).engine.name == "continuous"
        return
    with pytest.raises(UsageError, match=r"\[engine\] name: continuous batching computes in the type of the weights"):
        read_recipe(written(tmp_path, text))


def test_a_name_that_is_none_is_answered_with_those_that_are():
    with pytest.raises(UsageError, match=r"one of .*, toy"):
        read_recipe("tony")


@pytest.mark.parametrize(
    "environment",
    [
        'name = "keycode"',
        'name = "keycode"\nform = "words"',
        'name = "control"\nlevel = "hard"',
        'name = "control"\nform = "words"\n[[mixed_with]]\nname = "grid"\nlevel = "small"',
    ],
)
def test_lessons_where_there_are_no_words_are_refused(tmp_path, environment):
    recipe = f"{environment}\n[sources]\nplay = 0\nlessons = 1\n"
    text = GOOD.replace('weights = "random"', 'weights = "w"')
    with pytest.raises(UsageError, match=r"\[sources\] lessons: lessons are in words"):
        read_recipe(written(tmp_path, text.replace('name = "keycode"\n', recipe)))


def test_a_recipe_that_learns_from_nothing_or_from_a_teacher_who_does_not_play_there_is_refused(tmp_path):
    assert "nothing to learn from" in refused(tmp_path, "[learning]", "[sources]\nplay = 0\n[learning]")
    assert "[sources] teacher: the teacher plays frozenlake and conventions only" in refused(
        tmp_path, "[learning]", "[sources]\nteacher = 1\n[learning]"
    )


@pytest.mark.parametrize("source", ["replay", "redo", "imitate"])
def test_recorded_loops_that_are_not_named_are_asked_for(tmp_path, source):
    said = refused(tmp_path, "[learning]", f"[sources]\n{source} = 1\n[learning]")
    assert f"[sources] {source}: {source} needs recorded loops; name their `folders` in [records]" in said


@pytest.mark.parametrize("source", ["redo", "imitate"])
def test_a_model_that_knows_nothing_has_no_use_for_recorded_tasks(tmp_path, source):
    said = refused(tmp_path, "[learning]", f'[sources]\n{source} = 1\n[records]\nfolders = ["loops"]\n[learning]')
    assert f"[sources] {source}: a model with random weights cannot read recorded tasks" in said


def test_the_folders_of_records_are_read(tmp_path):
    text = GOOD + '[sources]\nplay = 0\nreplay = 1\n[records]\nfolders = ["a", "b"]\n'
    assert read_recipe(written(tmp_path, text)).records == RecordsConfig(("a", "b"), 4)
