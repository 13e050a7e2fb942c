"""Adapters as others wrote them, checked before a model takes them on: LoRA only, and nothing that changes the base, which others use.

What an adapter's settings say of where it goes is not taken from them (they may be regular expressions, which can take for ever), but from
the names and sizes of its tensors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codagent_train.serve_source import TENSORS, settings_of

_TENSOR = re.compile(r"(?:base_model\.model\.)?([\w.]+)\.lora_(?:(A|B|embedding_A|embedding_B)|magnitude_vector)(?:\.weight)?")
_READ = ("r", "lora_alpha", "use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "init_lora_weights", "peft_type")
_REPLACED = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")  # by what the tensors say
_INDIFFERENT = ("base_model_name_or_path", "revision", "task_type", "auto_mapping", "peft_version", "inference_mode", "lora_dropout")
_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")  # how training began, where that left the base as it was


def lora(folder: Path) -> Any:
    """The settings of an adapter, as peft's LoraConfig. ValueError, or an error of safetensors, for what is none, or would change more."""
    from peft import LoraConfig

    said, sizes = settings_of(folder), _sizes(folder / TENSORS)
    if (kind := said.get("peft_type")) != "LORA":
        raise ValueError(f"it is of the kind {str(kind)[:40]!r}, and only LORA is taken")
    plain, known = LoraConfig(), (*_READ, *_REPLACED, *_INDIFFERENT)
    odd = sorted(name for name, value in said.items() if name not in known and value and value != getattr(plain, name, value))
    odd += ["init_lora_weights"] if said.get("init_lora_weights") not in _STARTS else []
    if odd:
        raise ValueError(f"it sets {', '.join(odd)}, and only adapters without are taken")
    ranks, rank = _ranks(sizes), _rank(said.get("r"))
    patterns = {_name(name): _rank(value) for name, value in _object(said.get("rank_pattern")).items()}
    if not {*ranks.values()} <= {rank, *patterns.values()}:
        raise ValueError(f"its tensors have the ranks {', '.join(map(str, sorted({*ranks.values()})))}, and its settings name others")
    return LoraConfig(
        r=rank,
        lora_alpha=_number(said.get("lora_alpha")),
        alpha_pattern={_name(name): _number(value) for name, value in _object(said.get("alpha_pattern")).items()},
        rank_pattern={re.escape(name): value for name, value in ranks.items() if value != rank},
        target_modules=sorted(ranks),
        **{name: said.get(name) is True for name in ("use_rslora", "use_dora", "fan_in_fan_out")},
        inference_mode=True,
    )


def load(dressed: Any, folder: Path, name: str) -> None:
    """Read the tensors of an adapter into peft's model that has a place for it called `name`. ValueError when they are for other layers."""
    found = dressed.load_adapter(str(folder), name)
    if odd := [*found.unexpected_keys, *found.missing_keys]:
        raise ValueError(f"only one of them has {odd[0]}")


def _sizes(file: Path) -> dict[str, tuple[int, ...]]:
    """Of its tensors by name, without reading them."""
    from safetensors import safe_open

    if not file.is_file():  # a pipe would be waited for
        raise ValueError(f"there is no file {file.name}")
    with safe_open(file, "np") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 -- it is no mapping


def _ranks(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Of each layer that the tensors are for. ValueError when they are no LoRA, or one of a layer's two is missing."""
    ranks: dict[str, dict[str, int]] = {}
    for name, size in sizes.items():
        found = _TENSOR.fullmatch(name)
        if not found or (found[2] and len(size) != 2):
            raise ValueError(f"it holds {name[:100]}, which is not of a LoRA")
        if found[2]:
            ranks.setdefault(found[1], {})[found[2][-1]] = size[0] if found[2].endswith("A") else size[1]
    for layer, each in ranks.items():
        if {*each} != {"A", "B"} or each["A"] != each["B"]:
            raise ValueError(f"its tensors for {layer[:100]} are not a pair")
    if not ranks:
        raise ValueError("it has no tensors")
    return {layer: each["A"] for layer, each in ranks.items()}


def _rank(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a rank is not a whole number of at least 1")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("an alpha is not a number")
    return value


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise ValueError("a pattern is not an object")
    return value or {}


def _name(pattern: str) -> str:
    """The pattern, when it is a name and nothing else."""
    if not re.fullmatch(r"[\w.]+", pattern):
        raise ValueError(f"the pattern {pattern[:100]!r} is not the name of a layer")
    return pattern
