"""What a step tells of itself: what was played, and what is learned from, as numbers under slash names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from codagent.types import Episode, Loop
from codagent_train.data.credit import rewards
from codagent_train.data.mixture import Learned
from codagent_train.data.samples import Harvest
from codagent_train.intervals import estimate

_ROWS = {"replay": "rows/replayed", "again": "rows/again", "warm": "rows/warm"}


def measured(learned: Learned, harvest: Harvest) -> dict[str, float]:
    """What was played in a step, and what is learned from."""
    groups = learned.compared["play"]
    loops, again = _all(groups), _all(learned.compared["again"])
    replies = [step.reply for loop in loops for episode in loop.episodes for step in episode.steps]
    found = {
        **_by_position(loops),
        **_margins(groups),
        "notes/malformed": _mean(float(not episode.outcome.passed) for episode in _episodes(loops, "notes") if episode.outcome),
        "loops/broken_off": _mean(float(not rewards(loop)) for loop in loops),
        "groups/dead": float(harvest.dead),
        "rows/count": float(len(harvest.rows)),
        "tokens/prompt": float(sum(reply.prompt_tokens for reply in replies)),
        "tokens/completion": float(sum(reply.completion_tokens for reply in replies)),
        "tokens/trained": float(sum(row.trained for row in harvest.rows)),
    }
    if again:
        found |= {f"again/{name}": value for name, value in _by_position(again).items()}
    recorded = {"replay": _all(learned.compared["replay"]), "again": again, "warm": learned.imitated["warm"]}
    found |= {_ROWS[source]: float(sum(row.source == source for row in harvest.rows)) for source, loops in recorded.items() if loops}
    if harvest.temperature is not None:
        found["credit/temperature"] = harvest.temperature
    return found


def _all(groups: Sequence[Sequence[Loop]]) -> list[Loop]:
    return [loop for group in groups for loop in group]


def _by_position(loops: Sequence[Loop]) -> dict[str, float]:
    found: dict[str, float] = {}
    solved = _episodes(loops, "solve")
    for position in sorted({episode.position for episode in solved}):
        outcomes = [episode.outcome for episode in solved if episode.position == position and episode.outcome]
        found[f"reward/position_{position}"] = _mean(outcome.reward for outcome in outcomes)
        found[f"success/position_{position}"] = _mean(float(outcome.passed) for outcome in outcomes)
    return found


def _margins(groups: Sequence[Sequence[Loop]]) -> dict[str, float]:
    """Half of the 95 % interval of the reward at each position. The unit is the pack, whose loops are averaged first; one pack has none."""
    packs = [_by_position(group) for group in groups]
    names = [name for name in packs[0] if name.startswith("reward/") and all(name in pack for pack in packs)] if len(packs) > 1 else []
    return {name.replace("reward/", "margin/"): estimate([pack[name] for pack in packs]).margin for name in names}


def _episodes(loops: Sequence[Loop], kind: str) -> list[Episode]:
    return [episode for loop in loops for episode in loop.episodes if episode.kind == kind]


def _mean(values: Iterator[float]) -> float:
    return fmean(found) if (found := list(values)) else 0.0
