"""Find out which weights a text names: a run, a checkpoint, an adapter, a folder of weights, or a name on the hub. Nothing is loaded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import refuse_unreadable
from codagent_train.run_dir import checkpoints

ADAPTER_TENSORS = "adapter_model.safetensors"
_CONFIG, _INDEX = "adapter_config.json", "model.safetensors.index.json"
_MAX_CONFIG_BYTES = 1 << 20
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_GIVE = "give a run, a checkpoint, an adapter, a folder of weights, or OWNER/NAME of the hub"


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """The weights that a user named: a full model, or an adapter and the full model that it belongs to."""

    base: str  # the full model: an absolute folder, or a name on the hub
    name: str  # in reports and on servers: RUN@STEP for a checkpoint, else the name of the folder, or the name on the hub
    adapter: Path | None = None  # an absolute folder; None: a full model
    run: Path | None = None  # the folder whose run.json says how the weights were trained; None: not known
    step: int | None = None  # the step of a checkpoint; None: not a checkpoint

    @property
    def location(self) -> str:
        """The folder, or the name on the hub, that transformers loads: the adapter where there is one, else the full model."""
        return str(self.adapter or self.base)


def resolve(text: str) -> WeightsRef:
    """Find the weights that `text` names. Links are followed. A run stands for its last checkpoint.

    Text that is not a path and looks like a name on the hub is taken as one; only loading shows whether the hub has it.
    Raises UsageError for a run without a checkpoint, and for a path without weights or with incomplete ones.
    """
    folder = _find_folder(text)
    if folder is None:
        return WeightsRef(text, text)
    run = folder if checkpoints.is_run(folder) else None
    if run and not _weight_files(run):  # a folder that was exported for a hub has a run.json and weights
        folder = _last_checkpoint(run)
    step = checkpoints.step_of(folder) if checkpoints.is_checkpoint(folder) else None
    if step is not None and checkpoints.is_run(folder.parent):
        run = folder.parent
    name = folder.name if step is None else f"{folder.parent.name}@{step}"
    if is_adapter(folder):
        return WeightsRef(read_base(folder), name, folder, run, step)
    _check_weights(folder)
    return WeightsRef(str(folder), name, None, run, step)


def is_adapter(folder: Path) -> bool:
    """Return whether the folder holds an adapter, even an incomplete one."""
    return os.path.lexists(folder / _CONFIG)  # Path.exists raises OSError for a name that is too long


def read_base(folder: Path) -> str:
    """Read which full model an adapter was trained on. Raises UsageError when the folder does not hold a whole adapter."""
    try:
        base = read_adapter_settings(folder)["base_model_name_or_path"]
        if not isinstance(base, str) or not base:
            raise ValueError("the base is not a name")
        Path(base).exists()  # raises OSError when the name is too long to be a path
    except (OSError, ValueError, KeyError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / ADAPTER_TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {ADAPTER_TENSORS}; give the folder of a checkpoint")
    _check_files([folder / ADAPTER_TENSORS])
    return base


def name_base(weights: str) -> str:
    """Return the full model that a text names; of an adapter, the one that it belongs to. Raises UsageError as `read_base` does."""
    return read_base(Path(weights)) if is_adapter(Path(weights)) else weights


def read_rank(folder: Path) -> int:
    """Read the rank of a LoRA adapter. Raises UsageError when its configuration has none."""
    try:
        return int(read_adapter_settings(folder)["r"])
    except (OSError, OverflowError, ValueError, KeyError, TypeError):
        raise UsageError(f"the {_CONFIG} in {folder} names no rank `r`; give an adapter of the kind LoRA") from None


def read_adapter_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of an adapter. Raises OSError or ValueError when its file cannot be read or is not a JSON object."""
    file = folder / _CONFIG
    if not file.is_file():  # reading from a pipe would block, and a device has no end
        raise ValueError(f"there is no file {_CONFIG}")
    with file.open("rb") as opened:
        text = opened.read(_MAX_CONFIG_BYTES + 1)
    try:
        settings = json.loads(text) if len(text) <= _MAX_CONFIG_BYTES else None
    except RecursionError as error:
        raise ValueError(f"the {_CONFIG} is nested too deeply") from error
    if not isinstance(settings, dict):
        raise ValueError(f"the {_CONFIG} is not an object of at most {_MAX_CONFIG_BYTES} bytes")
    return settings


def _find_folder(text: str) -> Path | None:
    """Return the absolute folder that `text` names; None when it is a name on the hub. Raises UsageError when it is neither."""
    path = Path(os.path.expanduser(text))  # noqa: PTH111 -- Path.expanduser raises RuntimeError for an unknown user
    if not text.strip():
        raise UsageError(f"no weights are named; {_GIVE}")
    if os.path.isdir(path):  # noqa: PTH112 -- Path.is_dir raises OSError for a name that is too long
        return path.resolve()
    if os.path.exists(path):  # noqa: PTH110 -- the same
        raise UsageError(f"{text} is a file, not a folder; {_GIVE}")
    if not _HUB_NAME.fullmatch(text):
        raise UsageError(f"there is no folder {text}; {_GIVE}")
    return None


def _last_checkpoint(run: Path) -> Path:
    if (last := checkpoints.find_latest(run)) is None:
        raise UsageError(f"the run in {run} has no checkpoint yet; wait for the first one, or give the weights that the run began with")
    return last


def _weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.safetensors") if file.is_file())


def _check_weights(folder: Path) -> None:
    """Raise UsageError unless the folder has weights, with all files that its index names, and none of them is cut off."""
    files = _weight_files(folder)
    if not files:
        raise UsageError(f"there are no weights in {folder}: no *.safetensors; {_GIVE}")
    try:
        names = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values() if (folder / _INDEX).exists() else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{folder / _INDEX} cannot be read; give another checkpoint") from None
    _check_files(sorted({*files, *(folder / name for name in names)}))


def _check_files(files: Sequence[Path]) -> None:
    """Raise UsageError unless each file is complete.

    The header of a safetensors file says how long the file must be.
    """
    from safetensors import safe_open

    for file in files:
        with refuse_unreadable(f"{file} cannot be read", "give another checkpoint"):
            if file.exists() and not file.is_file():  # reading from a pipe would block
                raise ValueError("it is not a file")
            with safe_open(file, "np"):
                pass
