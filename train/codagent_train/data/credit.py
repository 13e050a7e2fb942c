"""Computes the returns of episodes, and their advantages over the same episodes of other loops (arXiv 2606.20002, section 3).

An episode is identified by its kind and position. The notes at position h are written after task h and used from task h + 1 on; in the
paper their index is h + 1. Differs from the paper: an episode that no other loop has gets no advantage. Does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import exp, fsum
from statistics import fmean

from codagent.types import Kind, Loop
from codagent_train.recipe.schema import CreditConfig

Key = tuple[Kind, int]
Scores = Mapping[Key, float]  # rewards, returns or advantages of the episodes of one loop
Returns = Callable[[Scores], dict[Key, float]]
Baseline = Callable[[Sequence[float]], list[float]]

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.8, 100.0  # bounds of the re-weighting temperature
_HALVINGS, _TOLERANCE = 20, 0.05  # the bisection ends after so many halvings, or when the interval is this small


def episode_rewards(loop: Loop) -> dict[Key, float]:
    """Return the reward of each episode; empty for a loop that is not complete or has an episode without an outcome."""
    outcomes = {(episode.kind, episode.position): episode.outcome for episode in loop.episodes}
    if not loop.complete or None in outcomes.values():
        return {}
    return {key: outcome.reward for key, outcome in outcomes.items() if outcome}


def paper(rewards: Scores) -> dict[Key, float]:
    """Return the mean of an episode's own reward and the rewards of all later tasks. The own reward of notes counts like one task."""
    return {key: fmean(_rewards_from(rewards, key)) for key in rewards}


def own_rewards(rewards: Scores) -> dict[Key, float]:
    """Return the episode's own reward. Notes thus get no credit for the tasks after them."""
    return dict(rewards)


def one_sum(rewards: Scores) -> dict[Key, float]:
    """Return for every episode the sum of all rewards of the loop, as Orbit does."""
    return dict.fromkeys(rewards, fsum(rewards.values()))


def window_returns(rewards: Scores, *, window: int) -> dict[Key, float]:
    """Return the mean of at most `window` rewards: the episode's own and those of the next tasks."""
    return {key: fmean(_rewards_from(rewards, key)[:window]) for key in rewards}


def discount_returns(rewards: Scores, *, factor: float) -> dict[Key, float]:
    """Return the discounted sum of an episode's own reward and those of all later tasks: the k-th later one times `factor` ** k."""
    return {key: fsum(factor**late * reward for late, reward in enumerate(_rewards_from(rewards, key))) for key in rewards}


def mean(returns: Sequence[float]) -> list[float]:
    """Subtract the mean of all returns. The result is not divided by the standard deviation."""
    middle = fmean(returns)
    return [value - middle for value in returns]


def leave_one_out(returns: Sequence[float]) -> list[float]:
    """Subtract from each return the mean of the other returns."""
    return [len(returns) / (len(returns) - 1) * value for value in mean(returns)]


def returns_of(config: CreditConfig) -> Returns:
    """Return the function that a recipe names."""
    by_name: dict[str, Returns] = {
        "paper": paper,
        "own": own_rewards,
        "one_sum": one_sum,
        "windowed": partial(window_returns, window=config.window),
        "discounted": partial(discount_returns, factor=config.discount),
    }
    return by_name[config.returns]


BASELINES: dict[str, Baseline] = {"mean": mean, "leave_one_out": leave_one_out}  # by their names in recipes


def advantages(group: Sequence[Scores], *, returns: Returns = paper, baseline: Baseline = mean) -> list[dict[Key, float]]:
    """Compute the advantage of each episode over those of the same kind and position in the other loops of the group.

    `group` holds the rewards of each loop. Returns the advantages of each loop. An episode that no other loop has is left out, so a group
    of one loop has no advantages.
    """
    valued = [returns(scores) for scores in group]
    advantages_by_loop: list[dict[Key, float]] = [{} for _ in group]
    for key in dict.fromkeys(key for values in valued for key in values):
        indices = [index for index, values in enumerate(valued) if key in values]
        if len(indices) > 1:
            for index, advantage in zip(indices, baseline([valued[index][key] for index in indices]), strict=True):
                advantages_by_loop[index][key] = 0.0 if abs(advantage) < 1e-12 else advantage  # equal returns may differ by rounding
    return advantages_by_loop


def compare_with_no_notes(
    advantages_by_loop: Sequence[dict[Key, float]], group: Sequence[Scores], without: Sequence[Scores], *, returns: Returns
) -> list[dict[Key, float]]:
    """Replace the advantages of notes by their worth: their return less that of play without notes (a counterfactual baseline).

    `group` has the rewards of each loop, and `without` those of loops that played the same tasks without notes. Notes that help are
    credited even when all notes of the group help alike. The baseline does not depend on what the notes say, so the gradient of the
    policy keeps its mean.
    """
    tasks = {key for scores in without for key in scores}
    usual = {key: fmean(scores[key] for scores in without if key in scores) for key in tasks}
    replaced = []
    for advantages, scores in zip(advantages_by_loop, group, strict=True):
        own = returns(scores)
        plain = returns({key: usual.get(key, 0.0) for key in scores})
        replaced.append({key: own[key] - plain[key] if key[0] == "notes" and usual else value for key, value in advantages.items()})
    return replaced


def no_signal(group: Sequence[Scores]) -> bool:
    """Return whether all advantages of a group are 0."""
    return not any(advantage for scores in group for advantage in scores.values())


def reweighting_temperature(advantages: Sequence[float], tokens: Sequence[int]) -> float | None:
    """Find the temperature at which the advantages of all trained tokens, re-weighted, sum to about 0.

    `advantages` and `tokens` have one element for each sample of a batch: its advantage and the number of its trained tokens. None: the sum
    is not negative without re-weighting, so none is needed. As in the paper's code, the method is bisection, and the last midpoint is
    returned, on whichever side of 0 its sum is.
    """

    def total(temperature: float | None) -> float:
        return fsum(count * reweight(advantage, temperature) for advantage, count in zip(advantages, tokens, strict=True))

    if total(None) >= 0:
        return None
    low, high = MIN_TEMPERATURE, MAX_TEMPERATURE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if total(middle) < 0:
            high = middle
        else:
            low = middle
        if high - low < _TOLERANCE:
            break
    return middle


def reweight(advantage: float, temperature: float | None) -> float:
    """Return `advantage` * exp(`advantage` / `temperature`): more for a positive one, less for a negative one. None: it is not changed."""
    return advantage if temperature is None else advantage * exp(advantage / temperature)


def _rewards_from(rewards: Scores, key: Key) -> list[float]:
    """Return the episode's own reward, then the rewards of the later tasks in order."""
    return [rewards[key], *(rewards[other] for other in sorted(rewards) if other[0] == "solve" and other[1] > key[1])]
