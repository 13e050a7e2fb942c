"""Recipes: TOML files that state all of a training run. The classes are the schema; a value that does not fit is refused by its key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from msgspec.structs import asdict, replace

from codagent.errors import UsageError
from codagent.settings.toml import Amount, Count, Table, Text, Texts, Whole, parse_table, read_toml
from codagent_train.recipe import values
from codagent_train.recipe.environment_config import TAUGHT, EnvironmentConfig, find_environment_problems

RANDOM = "random"  # in place of weights: a tiny model that knows nothing
RECORDED = ("replay", "redo", "imitate")  # sources that want recorded loops


class PolicyConfig(Table, frozen=True):
    """The model that is trained."""

    weights: Text  # a folder, a name on the hub, or "random"
    lora_rank: values.WholeOrZero = 0  # 0: no adapter; the parameters themselves are trained
    layers: values.WholeOrZero = 0  # train only the last so many layers; 0: all
    bf16: bool = False  # compute in bfloat16 on a CPU that can; a GPU always does
    device: values.DeviceName = "cpu"
    threads: Count = 1
    answers: values.AnswersName = "functions"  # how records answer, and how the model will be asked to: in functions or in lines
    enable_thinking: bool = True  # false: told to the chat template of a model that thinks unless it is told not to, as Qwen3

    @property
    def mixed_precision(self) -> bool:
        """Whether weights that are float32 are computed with in bfloat16."""
        return self.bf16 if self.device == "cpu" else not self.lora_rank


class EngineConfig(Table, frozen=True):
    """What samples the replies."""

    name: values.EngineName = "local"
    url: Text = "http://127.0.0.1:8000/v1"  # of a vLLM server that is already running
    urls: Texts = ()  # of further servers with the same model; each request goes to the one that has the fewest under way
    staleness: values.Staleness = 0  # loops are played by weights that are up to so many steps older

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses of all servers."""
        return self.url, *self.urls


class BatchConfig(Table, frozen=True):
    """How much a step learns from."""

    packs: Count
    group_size: Count  # loops over the same pack
    microbatches: Count = 1  # parts of the samples, of which one at a time is in memory
    balance: values.Balance = "packs"  # tokens: mixed environments share the loss by their weights, however many tokens each trains


class SourcesConfig(Table, frozen=True):
    """The weight of each source. Each pack of a step is drawn one source."""

    play: values.Weight = 1.0  # the policy's own loops
    teacher: values.Weight = 0.0  # loops of best play, which are imitated
    lessons: values.Weight = 0.0  # single tasks in words of a teacher that writes notes at random, which are imitated
    replay: values.Weight = 0.0  # recorded loops
    redo: values.Weight = 0.0  # the tasks of recorded loops, done again by the policy
    imitate: values.Weight = 0.0  # what is worth imitating in recorded loops


class RecordsConfig(Table, frozen=True):
    """The recorded loops, and which of them are used."""

    folders: Texts = ()
    max_staleness: values.WholeOrZero = 4  # replay: by how many steps the weights of a loop may be older
    max_drift: Amount = 1.0  # replay: by how much the logprobs of a sample may have moved, on average
    iterations: Count = 2  # redo: attempts at each task
    copied: Amount = 1.0  # imitate: how much a token counts that only goes on as the prompt does; 1: as much as any other


class ReplyConfig(Table, frozen=True):
    """How long replies may be, in tokens, and how they are sampled."""

    max_tokens: Count  # of a reply
    asked_tokens: values.WholeOrZero = 0  # within which the rules ask a reply to stay; 0: `max_tokens`
    notes_tokens: Count = 200  # of the notes
    context_tokens: Count = 4096  # of a request and its reply together
    temperature: Amount = 1.0


class CreditConfig(Table, frozen=True):
    """How rewards become advantages; the names are those of `data/credit.py`."""

    returns: values.ReturnsName = "paper"
    window: Count = 2  # of windowed returns: so many rewards, the own one among them
    discount: values.Share = 0.9  # of discounted returns
    baseline: values.BaselineName = "mean"
    notes_baseline: values.NotesBaselineName = (
        "group"  # without_notes: the same tasks are also played without notes, at about twice the cost
    )
    reweight: bool = False  # the paper's adaptive re-weighting
    reweight_within: values.Scope = "batch"  # one temperature for the whole batch, or one for each environment


class OptimizerConfig(Table, frozen=True):
    """How a step is taken: by AdamW."""

    steps: Count
    learning_rate: Amount
    schedule: values.Schedule = "constant"  # linear: after the warm-up the rate falls to 0 at the last step
    beta2: values.Share = 0.999  # how slowly AdamW's mean of the squared gradients moves
    clip: values.Share = 0.2  # the one-sided bound of the loss
    entropy: values.Share = 0.0  # the weight of the bonus for entropy
    notes_entropy: values.Share | None = None  # the same for the tokens of notes; None: as for others
    entropy_steps: values.WholeOrZero = 0  # in so many steps both weights fall to a tenth, where they stay; 0: they do not fall
    weight_decay: values.Share = 0.0
    max_grad_norm: Amount = 1.0
    warmup: values.WholeOrZero = 0  # steps
    save_every: Count = 50  # steps


class Recipe(Table, frozen=True):
    """A whole training run."""

    policy: PolicyConfig
    environment: EnvironmentConfig
    batch: BatchConfig
    replies: ReplyConfig
    learning: OptimizerConfig
    mixed_with: tuple[EnvironmentConfig, ...] = ()  # further environments; each pack is of one of them or of `environment`, by weight
    credit: CreditConfig = CreditConfig()
    engine: EngineConfig = EngineConfig()
    sources: SourcesConfig = SourcesConfig()
    records: RecordsConfig = RecordsConfig()
    seed: Whole = 0  # of everything that is random, the first weights included

    @property
    def environments(self) -> tuple[EnvironmentConfig, ...]:
        """All environments of the run."""
        return self.environment, *self.mixed_with

    @property
    def in_words(self) -> bool:
        """Whether all environments have closed vocabularies."""
        return all(environment.form == "words" and environment.name != "keycode" for environment in self.environments)


def read_recipe(name: str, *, seed: int | None = None, weights: str | None = None) -> Recipe:
    """Read the recipe in the file `name`, or the shipped recipe of that name. `seed` and `weights` replace the recipe's; None keeps them.

    Raises UsageError, which names the file, the key and what would do.
    """
    path = find_recipe(name)
    recipe = parse_table(read_toml(path), Recipe, where=path)
    if weights:
        recipe = replace(recipe, policy=replace(recipe.policy, weights=weights))
    for problem in _find_problems(recipe):
        raise UsageError(f"{path}: {problem}")
    if (folder := Path(recipe.policy.weights)).is_dir():  # an adapter must find its base from wherever it is served
        recipe = replace(recipe, policy=replace(recipe.policy, weights=str(folder.resolve())))
    return recipe if seed is None else replace(recipe, seed=seed)


def find_recipe(name: str) -> Path:
    """Return the file of a recipe: `name` itself, or that of the shipped recipe of that name. Raises UsageError when there is none."""
    path = Path(name)
    if not name.endswith(".toml"):
        path = Path(str(resources.files(__package__).joinpath("shipped"))) / f"{name}.toml"
    if not path.exists():
        raise UsageError(f"there is no recipe {name!r}; give a .toml file, or one of {', '.join(shipped_recipes())}")
    return path


def shipped_recipes() -> Sequence[str]:
    """List the recipes that come with codagent."""
    return sorted(entry.name.removesuffix(".toml") for entry in resources.files(__package__).joinpath("shipped").iterdir())


def describe_recipe(name: str) -> str:
    """Say what a recipe is for: the first sentence of its file, or what stands before a colon in it."""
    comment = itertools.takewhile(lambda line: line.startswith("#"), find_recipe(name).read_text(encoding="utf-8").splitlines())
    return re.split(r"[.:](?:\s|$)", " ".join(line.removeprefix("#").strip() for line in comment), maxsplit=1)[0]


def _find_problems(recipe: Recipe) -> Iterator[str]:
    """Yield why settings that fit one by one cannot be used together, each with its key."""
    batch, replies = recipe.batch, recipe.replies
    for number, environment in enumerate(recipe.environments):
        where = f"[[mixed_with]] number {number}" if number else "[environment]"
        yield from (f"{where} {problem}" for problem in find_environment_problems(environment))
    labels = [environment.label for environment in recipe.environments]
    if len(set(labels)) < len(labels):
        yield f"[[mixed_with]]: an environment is there twice with the same level: {', '.join(labels)}"
    loops = batch.packs * batch.group_size
    if batch.group_size < 2:
        yield "[batch] group_size: a group of one loop has nothing to be compared with; take at least 2"
    if loops % batch.microbatches:
        yield (
            f"[batch] microbatches: {batch.packs} packs of {batch.group_size} loops are {loops},"
            f" which cannot be divided into {batch.microbatches} microbatches"
        )
    if replies.max_tokens >= replies.context_tokens:
        yield (
            f"[replies] max_tokens: a reply of {replies.max_tokens} tokens leaves nothing of a context of"
            f" {replies.context_tokens} for the request"
        )
    if recipe.policy.weights == RANDOM and not recipe.in_words and (recipe.environment.name != "keycode" or recipe.mixed_with):
        yield '[policy] weights: a model with random weights speaks only the words of keycode, or those of form = "words"'
    if recipe.engine.name == "vllm" and not recipe.policy.lora_rank:
        yield "[engine] name: a vLLM server is given adapters, not weights; set `lora_rank` in [policy]"
    if recipe.engine.name == "vllm" and replies.temperature != 1.0:
        yield (
            "[replies] temperature: a vLLM server tells logprobs before temperature, which are those sampled from"
            " at 1 only; take that, or another [engine]"
        )
    if recipe.engine.name == "continuous" and recipe.policy.mixed_precision:
        yield (
            "[engine] name: continuous batching computes in the type of the weights, which are float32 here, and training in bfloat16;"
            ' take name = "local", or on a GPU a `lora_rank`, on a CPU bf16 = false'
        )
    yield from _find_source_problems(recipe)


def _find_source_problems(recipe: Recipe) -> Iterator[str]:
    sources = asdict(recipe.sources)
    if not any(sources.values()):
        yield f"there is nothing to learn from; set one of {', '.join(sources)} in [sources] above 0"
    for name in RECORDED:
        if sources[name] and not recipe.records.folders:
            yield f"[sources] {name}: {name} needs recorded loops; name their `folders` in [records]"
        if sources[name] and name != "replay" and recipe.policy.weights == RANDOM:
            yield f"[sources] {name}: a model with random weights cannot read recorded tasks; name its `weights` in [policy]"
    if recipe.sources.teacher and any(each.name not in TAUGHT or each.form == "words" for each in recipe.environments):
        yield f"[sources] teacher: the teacher plays {' and '.join(TAUGHT)} only, and writes sentences"
    if recipe.sources.lessons and not recipe.in_words:
        yield '[sources] lessons: lessons are in words; set form = "words" in [environment]'
