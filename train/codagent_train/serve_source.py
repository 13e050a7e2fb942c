"""What is to be served, as a person names it: a base, and the adapter on it where there is one. Loads no weights."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train import checkpoint

TENSORS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_LONGEST = 1 << 20  # bytes of an adapter's settings


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
    return os.path.lexists(folder / _CONFIG)  # which no name is too long for


def base_of(folder: Path) -> str:
    """The base that an adapter was trained on. UsageError when the folder holds none that says so."""
    try:
        found = settings_of(folder)["base_model_name_or_path"]
        if not isinstance(found, str) or not found:
            raise ValueError("this is no name")
    except (OSError, ValueError, KeyError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {TENSORS}; give the folder of a checkpoint")
    return found


def rank_of(folder: Path) -> int:
    """The rank of an adapter. UsageError when it names none."""
    try:
        return int(settings_of(folder)["r"])
    except (OSError, OverflowError, ValueError, KeyError, TypeError):
        raise UsageError(f"the {_CONFIG} in {folder} names no rank `r`; give an adapter of the kind LoRA") from None


def settings_of(folder: Path) -> dict[str, Any]:
    """What an adapter says of itself. OSError or ValueError when it says nothing that can be read."""
    file = folder / _CONFIG
    if not file.is_file():  # a pipe would be waited for, and a device has no end
        raise ValueError(f"there is no file {_CONFIG}")
    with file.open("rb") as opened:
        text = opened.read(_LONGEST + 1)
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
    except RecursionError as error:
        raise ValueError(f"the {_CONFIG} is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"the {_CONFIG} is not an object of at most {_LONGEST} bytes")
    return found


def _checkpoint(folder: Path) -> Path:
    if not checkpoint.is_run(folder):
        return folder
    if (last := checkpoint.latest(folder)) is None:
        raise UsageError(f"the run in {folder} has no checkpoint yet; wait for its first")
    return last


def _name(folder: Path) -> str:
    if checkpoint.is_checkpoint(folder):
        return f"{folder.resolve().parent.name}@{checkpoint.step_of(folder)}"
    return folder.resolve().name
