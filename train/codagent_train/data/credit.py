"""Who earned what: returns of solve and notes episodes, compared within a group position by position. Knows neither tokens' text nor torch.

After arXiv 2606.20002, section 3. An episode is named by its kind and position. The notes at position h are written after task h and serve
from task h+1 on; the paper gives them the index h+1. Different here: an episode that has nothing to be compared with gets no advantage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum
from statistics import fmean

from codagent.types import Kind, Loop

Key = tuple[Kind, int]
Scores = Mapping[Key, float]  # of one loop: a number for each of its episodes
Returns = Callable[[Scores], dict[Key, float]]
Baseline = Callable[[Sequence[float]], list[float]]

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.8, 100.0  # temperatures of the re-weighting
_HALVINGS, _NEAR = 20, 0.05


def episode_rewards(loop: Loop) -> dict[Key, float]:
    """The reward of each episode. Empty for a loop that was broken off: what was to come of its episodes is not known."""
    outcomes = {(episode.kind, episode.position): episode.outcome for episode in loop.episodes}
    if not loop.complete or None in outcomes.values():
        return {}
    return {key: outcome.reward for key, outcome in outcomes.items() if outcome}


def paper(rewards: Scores) -> dict[Key, float]:
    """The mean of an episode's own reward and those of all tasks after it. Of notes, the own reward is one element of the mean."""
    return {key: fmean(_rewards_from(rewards, key)) for key in rewards}


def own(rewards: Scores) -> dict[Key, float]:
    """Each episode by its own reward alone: notes are never credited with what they bring."""
    return dict(rewards)


def one_sum(rewards: Scores) -> dict[Key, float]:
    """Orbit's way: the sum of all rewards of the loop for every episode of it."""
    return dict.fromkeys(rewards, fsum(rewards.values()))


def window_returns(rewards: Scores, *, window: int) -> dict[Key, float]:
    """As the paper, but over no more than `window` rewards, the own one included."""
    return {key: fmean(_rewards_from(rewards, key)[:window]) for key in rewards}


def discount_returns(rewards: Scores, *, factor: float) -> dict[Key, float]:
    """The sum of an episode's own reward and those of all tasks after it, each later one worth less by `factor`."""
    return {key: fsum(factor**late * reward for late, reward in enumerate(_rewards_from(rewards, key))) for key in rewards}


def mean(returns: Sequence[float]) -> list[float]:
    """Less the mean of all, and not divided by their spread."""
    middle = fmean(returns)
    return [value - middle for value in returns]


def leave_one_out(returns: Sequence[float]) -> list[float]:
    """Less the mean of the others."""
    return [len(returns) / (len(returns) - 1) * value for value in mean(returns)]


def advantages(group: Sequence[Scores], *, returns: Returns = paper, baseline: Baseline = mean) -> list[dict[Key, float]]:
    """The advantage of each episode of each loop over its counterparts in the other loops of the group.

    An episode that no other loop has a counterpart to is left out, so a group of one has no advantages at all.
    """
    valued = [returns(scores) for scores in group]
    advantages_by_loop: list[dict[Key, float]] = [{} for _ in group]
    for key in dict.fromkeys(key for values in valued for key in values):
        indices = [index for index, values in enumerate(valued) if key in values]
        if len(indices) > 1:
            for index, advantage in zip(indices, baseline([valued[index][key] for index in indices]), strict=True):
                advantages_by_loop[index][key] = 0.0 if abs(advantage) < 1e-12 else advantage  # what rounding leaves of a tie is no lesson
    return advantages_by_loop


def no_signal(group: Sequence[Scores]) -> bool:
    """Whether there is nothing to learn from a group with these advantages."""
    return not any(advantage for scores in group for advantage in scores.values())


def reweighting_temperature(advantages: Sequence[float], tokens: Sequence[int]) -> float | None:
    """How strongly to favour what went well, so that the advantage of all trained tokens together is about 0; None when it is not negative.

    Both arguments have one element for each row of a batch. The paper's code: bisection, and the last midpoint whichever side it is on.
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
        if high - low < _NEAR:
            break
    return middle


def reweight(advantage: float, temperature: float | None) -> float:
    """The advantage at a temperature of the batch: the good ones count for more, the bad ones for less, and none changes its sign."""
    return advantage if temperature is None else advantage * exp(advantage / temperature)


def _rewards_from(rewards: Scores, key: Key) -> list[float]:
    """An episode's own reward, then those of the tasks after it, in order."""
    return [rewards[key], *(rewards[other] for other in sorted(rewards) if other[0] == "solve" and other[1] > key[1])]
