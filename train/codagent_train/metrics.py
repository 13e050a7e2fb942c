"""What a step tells of itself: numbers under slash names, one JSON object a step in `metrics.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from codagent.types import Episode, Loop
from codagent_train.credit import rewards
from codagent_train.intervals import estimate
from codagent_train.rows import Harvest, copied
from codagent_train.sources import Learned

FILE = "metrics.jsonl"
# names that transformers and trl give
RENAMED = {"loss": "loss/total", "grad_norm": "gradient/norm", "learning_rate": "rate", "step_time": "seconds/step"}


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
    recorded = {"replayed": _all(learned.compared["replay"]), "again": again, "warm": learned.imitated["warm"]}
    found |= {f"rows/{name}": float(len(copied(loops))) for name, loops in recorded.items() if loops}
    if harvest.temperature is not None:
        found["credit/temperature"] = harvest.temperature
    return found


def write(path: Path, step: int, values: Mapping[str, float]) -> None:
    """Append the line of a step."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **{name: values[name] for name in sorted(values)}}) + "\n")


def read(path: Path) -> list[dict[str, float]]:
    """The whole lines; a torn last one is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def cut(path: Path, step: int) -> None:
    """Forget what came after `step`, which is about to be done again."""
    kept = [line for line in read(path) if line["step"] <= step]
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    unfinished.replace(path)


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
