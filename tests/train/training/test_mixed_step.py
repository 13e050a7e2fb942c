"""One step that plays some packs and does recorded tasks of a repository again."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from msgspec import structs

from codagent.repository import git
from codagent.runner.spec import EffectiveLimits, LoopSpec, new_loop
from codagent.settings.settings import Settings
from codagent.types import Limits, Profile, Sampling, Task
from codagent_train.data.mixture import Mixture, packs_by_source
from codagent_train.environments import keycode
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, CreditConfig, RecordsConfig, SourcesConfig
from codagent_train.rollout.rollout import rollout
from codagent_train.run_dir import metrics
from codagent_train.training.trainer import Trainer, train
from tests.cli.conftest import repository
from tests.train.training.test_replay import record

pytestmark = pytest.mark.usefixtures("hushed")
__all__ = ["repository"]

PACKS = range(12)


@pytest.fixture
def mixed(small, repository):
    """A recipe that plays and redoes, with the record of one loop of a repository."""
    spec = LoopSpec("recorded", "g", (Task("t", "mend it", ("false",)),), start_commit=git.snapshot(repository).commit)
    spec = replace(spec, begin=spec.start_commit)
    held = EffectiveLimits(Limits(), Profile(prompt="terse", sampling=Sampling(max_tokens=3000)))
    loop = replace(new_loop(spec, "m", Settings(model="m", sandbox="python"), held), end="finished")
    record(repository / ".codagent/loops/recorded/record.jsonl", loop)
    return structs.replace(
        small,
        batch=BatchConfig(packs=len(PACKS), group_size=4),
        sources=SourcesConfig(play=1, redo=1),
        records=RecordsConfig((str(repository / ".codagent/loops"),), iterations=2),
    )


@pytest.fixture
def opened(monkeypatch):
    """The loops whose recorded environment was opened; a game stands in for the sandbox."""
    ids = []

    @contextmanager
    def open_game(where, loop, profile, say, allow):
        ids.append(loop.id)
        yield keycode.Keycode(0)

    monkeypatch.setattr("codagent_train.data.redo.open_recorded", open_game)
    return ids


def keys(recipe, *, sources):
    chosen = packs_by_source(recipe, PACKS)
    return [(source, pack, member) for source in sources for pack in chosen[source] for member in range(recipe.batch.group_size)]


def test_specs_of_both_sources_are_made_without_opening_anything(mixed, out, opened):
    policy = load_policy(mixed.policy, seed=0)
    specs = Mixture(mixed, out, policy.tokenizer, vocabulary_size=7).specs(PACKS, 3)
    assert opened == []
    assert list(specs) == keys(mixed, sources=("play", "redo"))
    assert {key.source for key in specs} == {"play", "redo"}
    assert {(key.source, spec.profile.calling, len(spec.tasks)) for key, spec in specs.items()} == {
        ("play", "native", 4),
        ("redo", "text", 2),
    }
    assert {spec.loop.model for spec in specs.values()} == {"random@3"}
    assert len({spec.seed for spec in specs.values()}) == len(specs)


def test_for_the_worth_of_notes_each_pack_is_also_played_without_any(small, out):
    recipe = structs.replace(small, credit=CreditConfig(notes_baseline="without_notes"))
    policy = load_policy(recipe.policy, seed=0)
    specs = Mixture(recipe, out, policy.tokenizer, vocabulary_size=7).specs(PACKS, 0)
    plain = [spec for key, spec in specs.items() if key.source == "without_notes"]
    assert [(spec.tasks, spec.loop.group, spec.seed) for spec in plain] == [
        (spec.tasks, spec.loop.group, spec.seed) for key, spec in specs.items() if key.source == "play"
    ]
    assert {(spec.notes_io.when, spec.notes_io.load("something")) for spec in plain} == {("never", "")}
    train(recipe, policy, out)
    assert all(0 < line["tokens/trained"] <= line["tokens/completion"] for line in metrics.read(out / metrics.FILE))


def test_all_packs_of_a_step_are_played_in_one_rollout_whatever_their_source(mixed, out, opened):
    trainer, samplers, batches = Trainer(mixed, load_policy(mixed.policy, seed=0), out), [], []
    engine_at = trainer._engines.engine_at

    def counted(model, step):
        engine, sampled = engine_at(model, step)
        generate = engine.generate
        samplers.append(step)
        engine.generate = lambda prompts, samplings: batches.append(len(prompts)) or generate(prompts, samplings)
        return engine, sampled

    trainer._engines.engine_at = counted
    trainer._build_microbatches(list(PACKS))
    assert samplers == [0]
    assert batches[0] == len(PACKS) * 4
    assert sorted(opened) == sorted(f"redo-0-{pack}-{member}" for _, pack, member in keys(mixed, sources=("redo",)))
    values = trainer._metrics["train"]
    assert 0 < values["rows/redo"][0] < values["rows/count"][0]


def test_the_replies_of_played_packs_do_not_depend_on_the_redone_packs_beside_them(mixed, out, opened):
    alone = structs.replace(mixed, sources=SourcesConfig(play=1))
    found = {}
    for recipe in (mixed, alone):
        trainer, texts = Trainer(recipe, load_policy(recipe.policy, seed=0), out), {}
        found[recipe.sources] = texts
        specs = trainer._mixture.specs(PACKS, 0)
        for key, loop in zip(specs, rollout(trainer._make_sampler(0), list(specs.values())), strict=True):
            texts[key] = [step.reply.raw for episode in loop.episodes for step in episode.steps]
    together, apart = found.values()
    played = [key for key in together if key.source == "play"]
    assert played
    assert {key: together[key] for key in played} == {key: apart[key] for key in played}
