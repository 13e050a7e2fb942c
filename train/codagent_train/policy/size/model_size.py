"""The size of a model, from its configuration and the headers of its weight files. Nothing is loaded or downloaded, torch is not needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.files import first_line, refuse_unreadable, safetensor_error
from codagent_train.recipe.schema import RANDOM

_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_BESIDE = (".json", ".jinja", ".model", ".txt")  # the files of tokenizer and settings
_NOT_ADAPTED = ("embed", "lm_head", "wte", "wpe")  # parts of the names of tensors that LoRA does not adapt
_GPT2 = {"n_embd": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"}  # its names, and those of others
_ADVICE = "make the folder again with `codagent-train import`"


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The numbers that an estimate of memory and disk needs."""

    parameters: int
    linears: tuple[tuple[int, int], ...]  # (outputs, inputs) of each layer that LoRA adapts
    hidden: int  # width of the hidden states
    layers: int
    vocabulary: int
    cached: int  # how many numbers one token adds to the cache of keys and values
    beside: int  # bytes of the tokenizer and the settings

    @property
    def outputs(self) -> int:
        """How many numbers these layers put out for one token."""
        return sum(out for out, _ in self.linears)


_LAYER = (*[(64, 64)] * 4, *[(128, 64)] * 2, (64, 128))

TINY = ModelSize(83_136, _LAYER * 2, hidden=64, layers=2, vocabulary=7, cached=256, beside=2000)  # the model of `policy.load.make_tiny`


def model_size(weights: str) -> ModelSize | None:
    """Measure the weights that a recipe names; None when they are not on this machine, or not in safetensors files.

    Raises UsageError when a file is damaged, or the model is not a causal language model.
    """
    if weights == RANDOM:
        return TINY
    folder = Path(weights) if Path(weights).is_dir() else find_cached(weights)
    if folder is None or not (folder / "config.json").is_file():
        return None
    files = _files(folder)
    if not files or not all(file.is_file() for file in files):
        return None
    with refuse_unreadable(f"the weights in {folder} cannot be read", _ADVICE):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        try:
            settings = {_GPT2.get(name, name): value for name, value in config.get("text_config", config).items()}
            return _measure(settings, [tensor for file in files for tensor in _read_sizes(file)], folder)
        except KeyError as error:
            raise UsageError(f"{folder / 'config.json'} lacks {error}; codagent-train trains causal language models") from None


def _measure(config: Any, tensors: Sequence[tuple[str, tuple[int, ...]]], folder: Path) -> ModelSize:
    for name in ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size"):
        if not isinstance(config[name], int) or config[name] < 1:
            raise ValueError(f"its config.json says {str(config[name])[:40]!r} for {name}")
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


def find_cached(name: str) -> Path | None:
    """Return the folder of a model in the hub's cache; None when it is not there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(file).parent if isinstance(file, str) else None


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        with refuse_unreadable(f"{folder / _INDEX} cannot be read", _ADVICE):
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            return [folder / name for name in sorted(set(index["weight_map"].values()))]
    return [folder / _WHOLE] if (folder / _WHOLE).is_file() else []


def _read_sizes(file: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Read the names and shapes of the tensors in a safetensors file, in their order there.

    Raises UsageError when the file is cut off or holds no tensors.
    """
    from safetensors import safe_open

    try:
        with safe_open(file, "np") as tensors:
            sizes = [(name, tuple(tensors.get_slice(name).get_shape())) for name in tensors.offset_keys()]
    except (OSError, safetensor_error()) as error:
        raise UsageError(f"{file} is not a whole file of safetensors: {first_line(error)}; {_ADVICE}") from None
    if not sizes:
        raise UsageError(f"{file} holds no tensor; {_ADVICE}")
    return sizes
