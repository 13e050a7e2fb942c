"""Recipes: TOML files that say all of a training run. The dataclasses are the schema; what does not fit is refused with file and line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from codagent.errors import UsageError
from codagent_train.recipe.keys import AMOUNT, COUNT, TEXT, TEXTS, WHOLE, Keys, Kind, Source, check, load

RANDOM = "random"  # in place of weights: a tiny model that knows nothing
RECORDED = ("replay", "redo", "imitate")  # sources that want recorded loops


def _one_of(choices: Any) -> Kind:
    names: tuple[str, ...] = get_args(choices)
    return Kind("one of " + ", ".join(names), lambda value: value in names)


def _number(value: object) -> bool:
    return type(value) in (int, float)


Text = Annotated[str, TEXT]
Texts = Annotated[tuple[str, ...], TEXTS]
Whole = Annotated[int, WHOLE]
Count = Annotated[int, COUNT]
WholeOrZero = Annotated[int, Kind("a whole number, 0 or above", lambda value: type(value) is int and value >= 0)]
Amount = Annotated[float, AMOUNT]
Weight = Annotated[float, Kind("a number, 0 or above", lambda value: _number(value) and 0 <= value < float("inf"))]
Share = Annotated[float, Kind("a number from 0 to below 1", lambda value: _number(value) and 0 <= value < 1)]
Flag = Annotated[bool, Kind("true or false", lambda value: type(value) is bool)]
_EnvironmentName = Literal["keycode", "frozenlake"]
Level = Literal["small", "easy", "hard"]
Form = Literal["brief", "terse", "paper"]
_Returns = Literal["paper", "own", "one_sum"]
_Baseline = Literal["mean", "leave_one_out"]
_Device = Literal["cpu", "cuda"]
_Engine = Literal["local", "continuous", "vllm"]


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The model that is trained: a folder, a name on the hub, or "random". `lora_rank` 0 trains the parameters themselves; of these, or of
    adapters, only those of the last `layers`, where that is not 0. `bf16` computes in it on a CPU that can; a GPU always does."""

    weights: Text
    lora_rank: WholeOrZero = 0
    layers: WholeOrZero = 0
    bf16: Flag = False
    device: Annotated[_Device, _one_of(_Device)] = "cpu"
    threads: Count = 1


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What samples the replies: one of the engines. `url`, of a vLLM server that runs already, ends in /v1."""

    name: Annotated[_Engine, _one_of(_Engine)] = "local"
    url: Text = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class EnvironmentConfig:
    """The environment. `level` and `form` are for frozenlake; a pack has `tasks` tasks."""

    name: Annotated[_EnvironmentName, _one_of(_EnvironmentName)]
    level: Annotated[Level, _one_of(Level)] = "easy"
    form: Annotated[Form, _one_of(Form)] = "terse"
    tasks: Count = 4


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """What a step learns from: `packs`, each played by a group of `group_size` loops, and their samples in `microbatches`
    that fit into memory one at a time."""

    packs: Count
    group_size: Count
    microbatches: Count = 1


@dataclass(frozen=True, slots=True)
class SourcesConfig:
    """What a step learns from, by weight. Each pack of a step has one source: the policy's own `play`; that of the `teacher`, who plays as
    well as can be and is imitated; of recorded loops their `replay`, a `redo` of the same tasks, or what is worth to `imitate`."""

    play: Weight = 1.0
    teacher: Weight = 0.0
    replay: Weight = 0.0
    redo: Weight = 0.0
    imitate: Weight = 0.0


@dataclass(frozen=True, slots=True)
class RecordsConfig:
    """The `folders` of recorded loops. They are replayed while their weights are no more than `max_staleness` steps behind, and a row's
    logprobs have not moved by more than `max_drift` on average; a task that is done again is attempted `iterations` times."""

    folders: Texts = ()
    max_staleness: WholeOrZero = 4
    max_drift: Amount = 1.0
    iterations: Count = 2


@dataclass(frozen=True, slots=True)
class ReplyConfig:
    """`max_tokens` of a reply, `notes_tokens` of the notes, `context_tokens` of a request and its reply together."""

    max_tokens: Count
    notes_tokens: Count = 200
    context_tokens: Count = 4096
    temperature: Amount = 1.0


@dataclass(frozen=True, slots=True)
class CreditConfig:
    """Names out of `data/credit.py`; `reweight` is the paper's adaptive re-weighting."""

    returns: Annotated[_Returns, _one_of(_Returns)] = "paper"
    baseline: Annotated[_Baseline, _one_of(_Baseline)] = "mean"
    reweight: Flag = False


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How a step is taken: AdamW at a constant rate. `clip` is the one-sided bound of the loss, `entropy` the weight of the bonus."""

    steps: Count
    learning_rate: Amount
    clip: Share = 0.2
    entropy: Share = 0.0
    weight_decay: Share = 0.0
    max_grad_norm: Amount = 1.0
    warmup: WholeOrZero = 0
    save_every: Count = 50


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole run. `seed` is drawn on by everything that is random, the first weights included."""

    policy: PolicyConfig
    environment: EnvironmentConfig
    batch: BatchConfig
    replies: ReplyConfig
    learning: OptimizerConfig
    credit: CreditConfig = field(default_factory=CreditConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    records: RecordsConfig = field(default_factory=RecordsConfig)
    seed: Whole = 0


_SECTIONS: dict[str, Any] = {
    "policy": PolicyConfig,
    "environment": EnvironmentConfig,
    "batch": BatchConfig,
    "replies": ReplyConfig,
    "learning": OptimizerConfig,
    "credit": CreditConfig,
    "engine": EngineConfig,
    "sources": SourcesConfig,
    "records": RecordsConfig,
}


def read_recipe(name: str, *, seed: int | None = None) -> Recipe:
    """The recipe in the file `name`, or the one of that name that ships. UsageError says what does not fit, and where."""
    path = Path(name)
    if not name.endswith(".toml"):
        path = Path(str(resources.files(__package__).joinpath("shipped"))) / f"{name}.toml"
    try:
        source = load(path)
    except FileNotFoundError:
        raise UsageError(f"there is no recipe {name!r}; give a .toml file, or one of {', '.join(shipped_recipes())}") from None
    keys: Keys = {name: _keys(section) for name, section in _SECTIONS.items()}
    check(source, source.data, {**keys, "seed": WHOLE})
    parts = {name: _section(source, name) for name in _SECTIONS}
    if (folder := Path(parts["policy"].weights)).is_dir():  # an adapter must find its base from wherever it is served
        parts["policy"] = replace(parts["policy"], weights=str(folder.resolve()))
    recipe = Recipe(**parts, seed=source.data.get("seed", 0) if seed is None else seed)
    _check_possible(source, recipe)
    return recipe


def shipped_recipes() -> Sequence[str]:
    """The names of the recipes that come with codagent."""
    return sorted(entry.name.removesuffix(".toml") for entry in resources.files(__package__).joinpath("shipped").iterdir())


def _keys(section: Any) -> Keys:
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(section, include_extras=True).items()}


def _section(source: Source, name: str) -> Any:
    section, values = _SECTIONS[name], source.data.get(name, {})
    for setting in fields(section):
        if setting.default is MISSING and setting.name not in values:
            raise UsageError(f"{source.path}: [{name}] lacks {setting.name!r}, {_keys(section)[setting.name].told}")  # type: ignore[union-attr]
    return section(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _check_possible(source: Source, recipe: Recipe) -> None:
    batch, replies = recipe.batch, recipe.replies
    if batch.group_size < 2:
        raise UsageError(f"{source.where(('batch', 'group_size'))}: a group of one loop has nothing to be compared with; take at least 2")
    loops = batch.packs * batch.group_size
    if loops % batch.microbatches:
        raise UsageError(
            f"{source.where(('batch', 'microbatches'))}: {batch.packs} packs of {batch.group_size} loops are {loops},"
            f" which cannot be divided into {batch.microbatches} microbatches"
        )
    if replies.max_tokens >= replies.context_tokens:
        raise UsageError(
            f"{source.where(('replies', 'max_tokens'))}: a reply of {replies.max_tokens} tokens leaves nothing of a context of"
            f" {replies.context_tokens} for the request"
        )
    if recipe.policy.weights == RANDOM and recipe.environment.name != "keycode":
        raise UsageError(f"{source.where(('policy', 'weights'))}: a model with random weights speaks only the words of keycode")
    if recipe.engine.name == "vllm":
        _check_vllm(source, recipe)
    _check_sources(source, recipe)


def _check_sources(source: Source, recipe: Recipe) -> None:
    sources = asdict(recipe.sources)
    if not any(sources.values()):
        raise UsageError(f"{source.path}: there is nothing to learn from; set one of {', '.join(sources)} in [sources] above 0")
    for name in RECORDED:
        where = source.where(("sources", name))
        if sources[name] and not recipe.records.folders:
            raise UsageError(f"{where}: {name} needs recorded loops; name their `folders` in [records]")
        if sources[name] and name != "replay" and recipe.policy.weights == RANDOM:
            raise UsageError(f"{where}: a model with random weights cannot read recorded tasks; name its `weights` in [policy]")
    if recipe.sources.teacher and recipe.environment.name != "frozenlake":
        raise UsageError(f"{source.where(('sources', 'teacher'))}: the teacher plays frozenlake only")


def _check_vllm(source: Source, recipe: Recipe) -> None:
    if not recipe.policy.lora_rank:
        raise UsageError(f"{source.where(('engine', 'name'))}: a vLLM server is given adapters, not weights; set `lora_rank` in [policy]")
    if recipe.replies.temperature != 1.0:
        raise UsageError(
            f"{source.where(('replies', 'temperature'))}: a vLLM server tells logprobs before temperature, which are those sampled from"
            " at 1 only; take that, or another [engine]"
        )
