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
class Source:
    """`base` is a folder or a name on the hub; `adapter` is the folder of one that is served on it under `name`."""

    base: str
    name: str = ""
    adapter: Path | None = None


def located(given: str) -> Source:
    """The folder of weights, or their name on the hub; of a run, its last checkpoint; of an adapter its base, too. UsageError for a run
    without a checkpoint, and for what is half an adapter."""
    folder = _checkpoint(Path(given))
    if is_adapter(folder):
        return Source(base_of(folder), _name(folder), folder)
    return Source(given if folder == Path(given) else str(folder))


def is_adapter(folder: Path) -> bool:
    return (folder / _CONFIG).exists()


def base_of(folder: Path) -> str:
    """The base that an adapter was trained on. UsageError when the folder holds none that says so."""
    try:
        found = _config(folder)["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / _TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {_TENSORS}; give the folder of a checkpoint")
    return str(found)


def rank_of(folder: Path) -> int:
    """The rank of an adapter. UsageError when it names none."""
    try:
        return int(_config(folder)["r"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"the {_CONFIG} in {folder} names no rank `r`; give an adapter of the kind LoRA") from None


def _config(folder: Path) -> Any:
    return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))


def _checkpoint(folder: Path) -> Path:
    if not checkpoints.is_run(folder):
        return folder
    if (last := checkpoints.latest(folder)) is None:
        raise UsageError(f"the run in {folder} has no checkpoint yet; wait for its first")
    return last


def _name(folder: Path) -> str:
    if checkpoints.is_checkpoint(folder):
        return f"{folder.resolve().parent.name}@{checkpoints.step_of(folder)}"
    return folder.resolve().name
