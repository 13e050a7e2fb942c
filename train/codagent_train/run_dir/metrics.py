"""The metrics of a run in `metrics.jsonl`: one JSON object for each step, with names like `reward/position_0`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FILE = "metrics.jsonl"
# the names that transformers and trl give, and ours
OUR_NAMES = {"loss": "loss/total", "grad_norm": "gradient/norm", "learning_rate": "rate", "step_time": "seconds/step"}


def append(path: Path, step: int, values: Mapping[str, float]) -> None:
    """Append the line of a step."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **{name: values[name] for name in sorted(values)}}) + "\n")


def read(path: Path) -> list[dict[str, float]]:
    """Read all complete lines. A last line that was cut off is left out; no file gives an empty list."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def drop_after(path: Path, step: int) -> None:
    """Remove the lines of the steps after `step`."""
    lines = [line for line in read(path) if line["step"] <= step]
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    unfinished.replace(path)
