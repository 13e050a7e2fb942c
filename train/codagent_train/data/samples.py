"""Training samples: what one step trains on, replies with what they were worth. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from codagent.store.trainable import prefix_chains
from codagent.types import Kind, Loop, Tokens
from codagent_train.data import credit

Group = Sequence[Loop]


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """Replies of an episode, whose every token has its advantage. Each but the first was asked for with all that came before it, so that
    one pass over the last one's tokens serves them all. Those of one that is `imitated` were not sampled by the policy; the others were
    at `temperature`. `source` is where its loop came from, one of those that a recipe weighs."""

    replies: tuple[Tokens, ...]
    advantage: float
    kind: Kind
    position: int
    temperature: float = 1.0
    imitated: bool = False
    source: str = ""

    @property
    def trained_tokens(self) -> int:
        """How many of its tokens are trained."""
        return sum(len(reply.completion_ids) for reply in self.replies)

    @property
    def ids(self) -> tuple[int, ...]:
        """All of its tokens."""
        return self.replies[-1].prompt_ids + self.replies[-1].completion_ids

    @property
    def length(self) -> int:
        return len(self.replies[-1].prompt_ids) + len(self.replies[-1].completion_ids)


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """The samples of a step, how many groups had nothing to teach, and the temperature of the re-weighting, where there was one."""

    samples: tuple[TrainingSample, ...]
    groups_without_signal: int
    reweighting_temperature: float | None = None


def build_samples(
    groups: Mapping[str, Sequence[Group]], *, returns: credit.Returns, baseline: credit.Baseline, reweight: bool
) -> SampleBatch:
    """The samples of all replies that have an advantage, out of groups by their source.

    Different from the paper: the samples of a group without signal are left out of the mean, too.
    """
    samples: list[TrainingSample] = []
    without_signal = 0
    for source, group in ((source, group) for source, of_source in groups.items() for group in of_source):
        scores = credit.advantages([credit.episode_rewards(loop) for loop in group], returns=returns, baseline=baseline)
        if credit.no_signal(scores):
            without_signal += 1
        else:
            samples += [
                sample for loop, loop_scores in zip(group, scores, strict=True) for sample in _episode_samples(loop, loop_scores, source)
            ]
    if not reweight:
        return SampleBatch(tuple(samples), without_signal)
    temperature = credit.reweighting_temperature([sample.advantage for sample in samples], [sample.trained_tokens for sample in samples])
    weighted = (replace(sample, advantage=credit.reweight(sample.advantage, temperature)) for sample in samples)
    return SampleBatch(tuple(weighted), without_signal, temperature)


def microbatches(samples: Sequence[TrainingSample], count: int) -> list[list[TrainingSample]]:
    """Exactly `count` parts with about as many tokens each, some empty when there are too few samples.

    Samples of like length lie together, so that little is padded.
    """
    ordered = sorted(samples, key=lambda sample: sample.length)
    ends = list(accumulate(sample.length for sample in ordered))
    batches: list[list[TrainingSample]] = [[] for _ in range(count)]
    for sample, end in zip(ordered, ends, strict=True):
        batches[int((end - sample.length / 2) * count / ends[-1])].append(sample)
    return batches


def imitation_samples(loops: Sequence[Loop], source: str = "") -> list[TrainingSample]:
    """The samples of loops that are to be imitated, whatever came of them: with an advantage of 1, the loss is their negative logprob."""
    samples = (
        sample
        for loop in loops
        for sample in _episode_samples(loop, {(episode.kind, episode.position): 1.0 for episode in loop.episodes}, source)
    )
    return [replace(sample, imitated=True, temperature=1.0) for sample in samples]


def _episode_samples(loop: Loop, advantages: credit.Scores, source: str) -> Iterator[TrainingSample]:
    for episode in loop.episodes:
        key = episode.kind, episode.position
        replies = [step.reply for step in episode.steps if step.reply.tokens] if key in advantages else []
        for temperature, same_temperature in groupby(replies, lambda reply: reply.sampling.temperature):
            for chain in prefix_chains([reply.tokens for reply in same_temperature if reply.tokens]):
                yield TrainingSample(chain, advantages[key], *key, temperature=temperature or 1.0, source=source)


RETURNS: dict[str, credit.Returns] = {"paper": credit.paper, "own": credit.own, "one_sum": credit.one_sum}
BASELINES: dict[str, Callable[[Sequence[float]], list[float]]] = {"mean": credit.mean, "leave_one_out": credit.leave_one_out}
