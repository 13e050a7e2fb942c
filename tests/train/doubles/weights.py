"""Folders that are weights to everything that does not load them: files of the right names with one small tensor each."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def save_weights(folder: Path, file: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"tensor": np.zeros(4, np.float32)}, folder / file)
    return folder


def save_adapter(folder: Path, *, base: str = "some/base", rank: int | None = 12) -> Path:
    save_weights(folder, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": rank}))
    return folder
