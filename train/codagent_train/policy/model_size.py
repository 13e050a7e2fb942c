"""How large a model is, read from what lies beside its weights and at their head: no torch, no download, no weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import first_line, safetensor_error
from codagent_train.recipe.schema import RANDOM

_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_BESIDE = (".json", ".jinja", ".model", ".txt")  # what a tokenizer is made of
_NOT_ADAPTED = ("embed", "lm_head", "wte", "wpe")  # LoRA leaves them as they are


@dataclass(frozen=True, slots=True)
class ModelSize:
    """`linears` are the (out, in) of the layers that LoRA adapts, `cached` the numbers that a token leaves in the cache of keys and values,
    `beside` the bytes of tokenizer and settings."""

    parameters: int
    linears: tuple[tuple[int, int], ...]
    hidden: int
    layers: int
    vocabulary: int
    cached: int
    beside: int

    @property
    def outputs(self) -> int:
        """The numbers that a token has in the outputs of all those layers."""
        return sum(out for out, _ in self.linears)


_LAYER = (*[(64, 64)] * 4, *[(128, 64)] * 2, (64, 128))
TINY = ModelSize(83_136, _LAYER * 2, hidden=64, layers=2, vocabulary=7, cached=256, beside=2000)  # of random weights


def model_size(weights: str) -> ModelSize | None:
    """Of the weights of a recipe; None when they are not on this machine, or not as safetensors."""
    if weights == RANDOM:
        return TINY
    folder = Path(weights) if Path(weights).is_dir() else _find_cached(weights)
    if folder is None or not (folder / "config.json").is_file():
        return None
    files = _files(folder)
    if not files or not all(file.is_file() for file in files):
        return None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        return _measure(config.get("text_config", config), [tensor for file in files for tensor in _read_sizes(file)], folder)
    except KeyError as error:
        raise UsageError(f"{folder / 'config.json'} lacks {error}; codagent-train trains causal language models") from None


def _measure(config: Any, tensors: Sequence[tuple[str, tuple[int, ...]]], folder: Path) -> ModelSize:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    width = config.get("head_dim") or hidden // heads
    linears = (size for name, size in tensors if len(size) == 2 and not any(part in name for part in _NOT_ADAPTED))
    return ModelSize(
        parameters=sum(prod(size) for _, size in tensors),
        linears=tuple((out, inputs) for out, inputs in linears),
        hidden=hidden,
        layers=config["num_hidden_layers"],
        vocabulary=config["vocab_size"],
        cached=2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * width,
        beside=sum(file.stat().st_size for file in folder.iterdir() if file.suffix in _BESIDE and file.is_file()),
    )


def _find_cached(name: str) -> Path | None:
    """Where the hub's cache has a model."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(file).parent if isinstance(file, str) else None


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        return [folder / name for name in sorted(set(index["weight_map"].values()))]
    return [folder / _WHOLE] if (folder / _WHOLE).is_file() else []


def _read_sizes(file: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Return the name and the size of each tensor in a file, in their order there. UsageError for a file that is cut off or holds none."""
    from safetensors import safe_open

    try:
        with safe_open(file, "np") as tensors:
            sizes = [(name, tuple(tensors.get_slice(name).get_shape())) for name in tensors.offset_keys()]
    except (OSError, safetensor_error()) as error:
        raise UsageError(
            f"{file} is not a whole file of safetensors: {first_line(error)}; make the folder anew with `codagent-train import`"
        ) from None
    if not sizes:
        raise UsageError(f"{file} holds no tensor; make the folder anew with `codagent-train import`")
    return sizes
