"""What is to be served, as a person names it: a base, and the adapter on it where there is one. Loads no weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.run_dir import checkpoints

_CONFIG, _TENSORS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """`base` is a folder or a name on the hub; `adapter` is the folder of one that is served on it under `name`."""

    base: str
    name: str = ""
    adapter: Path | None = None


def resolve(path: str) -> WeightsRef:
    """The folder of weights, or their name on the hub; of a run, its last checkpoint; of an adapter its base, too. UsageError for a run
    without a checkpoint, and for what is half an adapter."""
    folder = _last_checkpoint(Path(path))
    if is_adapter(folder):
        return WeightsRef(read_base(folder), _served_name(folder), folder)
    return WeightsRef(path if folder == Path(path) else str(folder))


def is_adapter(folder: Path) -> bool:
    return (folder / _CONFIG).exists()


def read_base(folder: Path) -> str:
    """The base that an adapter was trained on. UsageError when the folder holds none that says so."""
    try:
        base = _read_config(folder)["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / _TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {_TENSORS}; give the folder of a checkpoint")
    return str(base)


def read_rank(folder: Path) -> int:
    """The rank of an adapter. UsageError when it names none."""
    try:
        return int(_read_config(folder)["r"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"the {_CONFIG} in {folder} names no rank `r`; give an adapter of the kind LoRA") from None


def _read_config(folder: Path) -> Any:
    return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))


def _last_checkpoint(folder: Path) -> Path:
    if not checkpoints.is_run(folder):
        return folder
    if (last := checkpoints.find_latest(folder)) is None:
        raise UsageError(f"the run in {folder} has no checkpoint yet; wait for its first")
    return last


def _served_name(folder: Path) -> str:
    if checkpoints.is_checkpoint(folder):
        return f"{folder.resolve().parent.name}@{checkpoints.step_of(folder)}"
    return folder.resolve().name
