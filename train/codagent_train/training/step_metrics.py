"""Computes the metrics of a step: what was played and what is learned from. Their names have slashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean

from codagent.types import Episode, Loop
from codagent_train.data.credit import episode_rewards
from codagent_train.data.samples import SampleBatch, StepLoops, environment_label, groups_of
from codagent_train.intervals import mean_interval
from codagent_train.recipe.schema import RECORDED


def step_metrics(loops: StepLoops, batch: SampleBatch) -> dict[str, float]:
    """Measure what was played in a step and what is learned from it.

    Rewards, notes and the tokens of prompts and completions are measured over the source "play"; names that begin with "redo/", over the
    source "redo". A source without loops in the step has no metric of its own. When several environments were played, each also has its
    own metrics, whose names begin with its label.
    """
    played = [loop for key, loop in loops.items() if key.source == "play"]
    redone = [loop for key, loop in loops.items() if key.source == "redo"]
    replies = [step.reply for loop in played for episode in loop.episodes for step in episode.steps]
    values = {
        **_by_position(played),
        **_margins(groups_of(loops, "play")),
        "notes/malformed": _malformed(played),
        "loops/broken_off": _mean(float(not episode_rewards(loop)) for loop in played),
        "groups/dead": float(batch.groups_without_signal),
        "rows/count": float(len(batch.samples)),
        "tokens/prompt": float(sum(reply.prompt_tokens for reply in replies)),
        "tokens/completion": float(sum(reply.completion_tokens for reply in replies)),
        "tokens/trained": float(sum(sample.trained_tokens for sample in batch.samples)),
    }
    if redone:
        values |= {f"redo/{name}": value for name, value in _by_position(redone).items()}
    present, samples = {key.source for key in loops}, Counter(sample.source for sample in batch.samples)
    values |= {f"rows/{source}": float(samples[source]) for source in RECORDED if source in present}
    values |= _by_environment(loops, batch)
    if batch.reweighting_temperature is not None:
        values["credit/temperature"] = batch.reweighting_temperature
    return values


def _by_environment(loops: StepLoops, batch: SampleBatch) -> dict[str, float]:
    """Measure each environment that was played; empty when there was only one."""
    played: dict[str, list[Loop]] = {}
    for key, loop in loops.items():
        if key.source == "play":
            played.setdefault(environment_label(loop), []).append(loop)
    trained = Counter[str]()
    for sample in batch.samples:
        trained[sample.environment] += sample.trained_tokens
    values: dict[str, float] = {}
    for label, own in played.items() if len(played) > 1 else ():
        values |= {f"{label}/{name}": value for name, value in _by_position(own).items()}
        values[f"{label}/notes/malformed"] = _malformed(own)
        values[f"{label}/loops/count"] = float(len(own))
        values[f"{label}/tokens/trained"] = float(trained[label])
    return values


def _malformed(loops: Sequence[Loop]) -> float:
    return _mean(float(not episode.outcome.passed) for episode in _episodes(loops, "notes") if episode.outcome)


def _by_position(loops: Sequence[Loop]) -> dict[str, float]:
    """Return the mean reward and the share of passed attempts at each position."""
    values: dict[str, float] = {}
    attempts = _episodes(loops, "solve")
    for position in sorted({episode.position for episode in attempts}):
        outcomes = [episode.outcome for episode in attempts if episode.position == position and episode.outcome]
        values[f"reward/position_{position}"] = _mean(outcome.reward for outcome in outcomes)
        values[f"success/position_{position}"] = _mean(float(outcome.passed) for outcome in outcomes)
    return values


def _margins(groups: Sequence[Sequence[Loop]]) -> dict[str, float]:
    """Return half the width of the 95 % interval of the mean reward at each position that all packs reached.

    The loops of a pack are averaged first, and the interval is over packs. One pack has no interval.
    """
    packs = [_by_position(group) for group in groups]
    names = [name for name in packs[0] if name.startswith("reward/") and all(name in pack for pack in packs)] if len(packs) > 1 else []
    return {name.replace("reward/", "margin/"): mean_interval([pack[name] for pack in packs]).margin for name in names}


def _episodes(loops: Sequence[Loop], kind: str) -> list[Episode]:
    return [episode for loop in loops for episode in loop.episodes if episode.kind == kind]


def _mean(values: Iterator[float]) -> float:
    """Return the mean; 0 for no values."""
    return fmean(numbers) if (numbers := list(values)) else 0.0
