"""Turns the loops of a step into training samples: replies with their advantages. Does not import torch.

The loops come from several sources. Those of "play", "redo" and "replay" are compared within their group, and their replies get advantages;
those of "teacher", "lessons" and "imitate" are imitated word for word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Literal, NamedTuple, TypeVar

from codagent.store.trainable import prefix_chains
from codagent.types import Kind, Loop, Tokens
from codagent_train.data import credit
from codagent_train.recipe.schema import Recipe

Source = Literal["play", "without_notes", "redo", "replay", "teacher", "lessons", "imitate"]
# "without_notes": the same packs as "play", only to compare with
COMPARED: tuple[Source, ...] = ("play", "redo", "replay")
IMITATED: tuple[Source, ...] = ("teacher", "lessons", "imitate")
_Item = TypeVar("_Item")


class LoopKey(NamedTuple):
    """Identifies a loop within a step. The loops of one source and one pack are a group."""

    source: Source
    pack: int  # the number of the pack among all packs of the training split
    member: int  # the number of the loop in its group


StepLoops = Mapping[LoopKey, Loop]  # all loops that one step learns from, those of a group side by side


def key_loops(source: Source, groups: Mapping[int, Sequence[_Item]]) -> dict[LoopKey, _Item]:
    """Give each loop, or each spec of a loop, its key. `groups` are by the number of their pack."""
    return {LoopKey(source, pack, member): item for pack, group in groups.items() for member, item in enumerate(group)}


def groups_of(loops: StepLoops, source: Source) -> list[list[Loop]]:
    """Return the loops of a source, group by group."""
    keys = [key for key in loops if key.source == source]
    return [[loops[key] for key in group] for _, group in groupby(keys, lambda key: key.pack)]


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """Consecutive replies of one episode, which go through the model as one row.

    The prompt of each reply begins with the prompt and the reply before it, so the row is the last prompt and the last reply.
    """

    replies: tuple[Tokens, ...]  # their completion tokens are trained
    advantage: float  # of each trained token
    kind: Kind
    position: int
    temperature: float = 1.0  # that the replies were sampled at
    imitated: bool = False  # the policy did not sample the replies; their logprobs are 0, so that the loss clips nothing
    source: Source | None = None  # None: not of a training step
    copied: float = 1.0  # how much a token counts that only goes on as the prompt does (see `copies`)
    environment: str = ""  # its label, without the seed of a pack

    @property
    def trained_tokens(self) -> int:
        """The number of trained tokens."""
        return sum(len(reply.completion_ids) for reply in self.replies)

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of the row."""
        return self.replies[-1].prompt_ids + self.replies[-1].completion_ids

    @property
    def length(self) -> int:
        """The number of tokens in the row."""
        return len(self.replies[-1].prompt_ids) + len(self.replies[-1].completion_ids)


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """What one optimizer step trains on."""

    samples: tuple[TrainingSample, ...]
    groups_without_signal: int  # all their loops had the same returns, so every advantage is 0
    reweighting_temperature: float | None = None  # the lowest, if there are several; None: re-weighting is off, or the batch needed none


def step_samples(recipe: Recipe, loops: StepLoops) -> SampleBatch:
    """Return what a step of a recipe trains on."""
    settings = recipe.credit
    batch = build_samples(
        loops,
        returns=credit.returns_of(settings),
        baseline=credit.BASELINES[settings.baseline],
        reweight=settings.reweight,
        by_environment=settings.reweight_within == "environment",
        copied=recipe.records.copied,
    )
    if recipe.batch.balance == "packs":
        return batch
    return balance_environments(batch, {environment.label: environment.weight for environment in recipe.environments})


def build_samples(
    loops: StepLoops,
    *,
    returns: credit.Returns,
    baseline: credit.Baseline,
    reweight: bool,
    by_environment: bool = False,
    copied: float = 1.0,
) -> SampleBatch:
    """Compute advantages within each group, attach them to the group's replies, and add the samples that are imitated.

    After arXiv 2606.20002, section 3. `by_environment`: the re-weighting has a temperature for each environment in place of one for the
    batch. `copied` is of the source "imitate". Differs from the paper: groups without signal are left out of the token mean. Loops of the
    source "without_notes" are compared with and not trained on.
    """
    compared: list[TrainingSample] = []
    without_signal = 0
    plain = {group[0].group: list(map(credit.episode_rewards, group)) for group in groups_of(loops, "without_notes")}
    groups = [(source, group) for source in COMPARED for group in groups_of(loops, source)]
    for source, group in groups:
        rewards = list(map(credit.episode_rewards, group))
        scores = credit.advantages(rewards, returns=returns, baseline=baseline)
        if source == "play" and group[0].group in plain:
            scores = credit.compare_with_no_notes(scores, rewards, plain[group[0].group], returns=returns)
        if credit.no_signal(scores):
            without_signal += 1
        else:
            for loop, loop_scores in zip(group, scores, strict=True):
                compared += _episode_samples(loop, loop_scores, source)
    imitated = _imitated_samples(loops, copied)
    if not reweight:
        return SampleBatch((*compared, *imitated), without_signal)
    temperatures = _find_temperatures(compared, (lambda sample: sample.environment) if by_environment else (lambda _: ""))
    weighted = [
        replace(sample, advantage=credit.reweight(sample.advantage, temperature))
        for sample, temperature in zip(compared, temperatures, strict=True)
    ]
    found = [temperature for temperature in temperatures if temperature is not None]
    return SampleBatch((*weighted, *imitated), without_signal, min(found, default=None))


def balance_environments(batch: SampleBatch, weights: Mapping[str, float]) -> SampleBatch:
    """Scale advantages so that each environment has a share of the loss in proportion to its weight, however many tokens it trains.

    `weights` are by the label of the environment; one that is not there keeps its share. The bonus for entropy is not scaled.
    """
    tokens = Counter[str]()
    for sample in batch.samples:
        tokens[sample.environment] += sample.trained_tokens
    present = {label: weight for label, weight in weights.items() if tokens[label]}
    total, weight_sum = sum(tokens[label] for label in present), sum(present.values())
    factors = {label: weight / weight_sum * total / tokens[label] for label, weight in present.items()}
    scaled = (replace(sample, advantage=sample.advantage * factors.get(sample.environment, 1.0)) for sample in batch.samples)
    return replace(batch, samples=tuple(scaled))


def environment_label(loop: Loop) -> str:
    """Return the label of the environment that a loop was played in: the name in its record without the seed of the pack."""
    return loop.environment.rpartition("-")[0]


def imitation_samples(loops: Sequence[Loop], source: Source | None = None) -> list[TrainingSample]:
    """Return the samples of loops to imitate, whatever their outcome. With an advantage of 1, the loss is the negative logprob."""
    samples = (
        sample
        for loop in loops
        for sample in _episode_samples(loop, {(episode.kind, episode.position): 1.0 for episode in loop.episodes}, source)
    )
    return [replace(sample, imitated=True, temperature=1.0) for sample in samples]


def _imitated_samples(loops: StepLoops, copied: float) -> list[TrainingSample]:
    return [
        replace(sample, copied=copied if key.source == "imitate" else 1.0)
        for key, loop in loops.items()
        if key.source in IMITATED
        for sample in imitation_samples([loop], key.source)
    ]


def split_samples(samples: Sequence[TrainingSample], count: int) -> list[list[TrainingSample]]:
    """Split samples into `count` microbatches with about equally many tokens. Some are empty when there are too few samples.

    Samples of similar length are put together, so that little padding is needed.
    """
    ordered = sorted(samples, key=lambda sample: sample.length)
    ends = list(accumulate(sample.length for sample in ordered))
    batches: list[list[TrainingSample]] = [[] for _ in range(count)]
    for sample, end in zip(ordered, ends, strict=True):
        batches[int((end - sample.length / 2) * count / ends[-1])].append(sample)
    return batches


def _find_temperatures(samples: Sequence[TrainingSample], part_of: Callable[[TrainingSample], str]) -> list[float | None]:
    """Find the re-weighting temperature of each sample. Samples of one part have one temperature; None: their part needs none."""
    parts: dict[str, list[TrainingSample]] = {}
    for sample in samples:
        parts.setdefault(part_of(sample), []).append(sample)
    temperatures = {
        name: credit.reweighting_temperature([sample.advantage for sample in part], [sample.trained_tokens for sample in part])
        for name, part in parts.items()
    }
    return [temperatures[part_of(sample)] for sample in samples]


def _episode_samples(loop: Loop, advantages: credit.Scores, source: Source | None) -> Iterator[TrainingSample]:
    """Yield the samples of the episodes that have an advantage. Replies without tokens are left out."""
    for episode in loop.episodes:
        key = episode.kind, episode.position
        replies = [step.reply for step in episode.steps if step.reply.tokens] if key in advantages else []
        for temperature, same_temperature in groupby(replies, lambda reply: reply.sampling.temperature):
            for chain in prefix_chains([reply.tokens for reply in same_temperature if reply.tokens]):
                yield TrainingSample(
                    chain, advantages[key], *key, temperature=temperature or 1.0, source=source, environment=environment_label(loop)
                )
