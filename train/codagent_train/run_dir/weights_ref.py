"""Find out which weights a text names: a run, a checkpoint, an adapter, a folder of weights, or a name on the hub. Nothing is loaded."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import first_line, safetensor_error
from codagent_train.run_dir import checkpoints

_CONFIG, _TENSORS, _INDEX = "adapter_config.json", "adapter_model.safetensors", "model.safetensors.index.json"
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
    return (folder / _CONFIG).exists()


def read_base(folder: Path) -> str:
    """Read which full model an adapter was trained on. Raises UsageError when the folder does not hold a whole adapter."""
    try:
        base = _read_config(folder)["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / _TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {_TENSORS}; give the folder of a checkpoint")
    _check_files([folder / _TENSORS])
    return str(base)


def read_rank(folder: Path) -> int:
    """Read the rank of a LoRA adapter. Raises UsageError when its configuration has none."""
    try:
        return int(_read_config(folder)["r"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"the {_CONFIG} in {folder} names no rank `r`; give an adapter of the kind LoRA") from None


def _find_folder(text: str) -> Path | None:
    """Return the absolute folder that `text` names; None when it is a name on the hub. Raises UsageError when it is neither."""
    path = Path(text).expanduser()
    if not text.strip():
        raise UsageError(f"no weights are named; {_GIVE}")
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise UsageError(f"{text} is a file, not a folder; {_GIVE}")
    if not _HUB_NAME.fullmatch(text):
        raise UsageError(f"there is no folder {text}; {_GIVE}")
    return None


def _last_checkpoint(run: Path) -> Path:
    if (last := checkpoints.find_latest(run)) is None:
        raise UsageError(f"the run in {run} has no checkpoint yet; wait for the first one, or give the weights that the run began with")
    return last


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _check_weights(folder: Path) -> None:
    """Raise UsageError unless the folder has weights, with all files that its index names, and none of them is cut off."""
    files = _weight_files(folder)
    if not files:
        raise UsageError(f"there are no weights in {folder}: no *.safetensors; {_GIVE}")
    try:
        names = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values() if (folder / _INDEX).exists() else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(f"{folder / _INDEX} cannot be read; give another checkpoint") from None
    _check_files(sorted({*files, *(folder / name for name in names)}))


def _check_files(files: Sequence[Path]) -> None:
    """Raise UsageError unless each file is complete.

    The header of a safetensors file says how long the file must be.
    """
    from safetensors import safe_open

    for file in files:
        try:
            with safe_open(file, "np"):
                pass
        except (OSError, struct.error, safetensor_error()) as error:
            raise UsageError(f"{file} cannot be read: {first_line(error)}; give another checkpoint") from error


def _read_config(folder: Path) -> Any:
    return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
