"""LoRA adapters that somebody else wrote, checked before they are put on a model that others use, too.

Only LoRA is accepted, and nothing that changes the base. Which layers an adapter is for, and with which rank, is read from the names and
shapes of its tensors. The settings may say the same with regular expressions, which can take forever to match, so these are not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codagent_train.run_dir.weights_ref import ADAPTER_TENSORS, read_adapter_settings

TENSOR_NAME = re.compile(r"(?:base_model\.model\.)?([\w.]+)\.lora_(?:(A|B|embedding_A|embedding_B)|magnitude_vector)(?:\.weight)?")
_USED = ("r", "lora_alpha", "use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "init_lora_weights", "peft_type")
_REPLACED = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")  # by what the names of the tensors say
_WITHOUT_EFFECT = ("base_model_name_or_path", "revision", "task_type", "auto_mapping", "peft_version", "inference_mode", "lora_dropout")
_HARMLESS_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")  # values of init_lora_weights with which the base stays as it was
_MAX_ALPHA = 1_000_000  # a thousand times what anybody uses; far more makes infinity out of any output


def read_lora_config(folder: Path) -> Any:
    """Read the settings of an adapter as peft's LoraConfig, and look through its tensors.

    Raises ValueError, OSError or an error of safetensors when the files cannot be read, when the adapter is not a LoRA, when it would
    change more than the outputs of linear layers, or when it holds NaN or infinity.
    """
    from peft import LoraConfig

    settings, shapes = read_adapter_settings(folder), _read_shapes(folder / ADAPTER_TENSORS)
    if (kind := settings.get("peft_type")) != "LORA":
        raise ValueError(f"it is of the kind {str(kind)[:40]!r}, and only LORA is taken")
    _refuse_other_settings(settings, LoraConfig())
    _refuse_infinity(folder / ADAPTER_TENSORS)
    ranks, rank = _find_ranks(shapes), _parse_rank(settings.get("r"))
    rank_pattern = {_parse_layer(name): _parse_rank(value) for name, value in _parse_pattern(settings.get("rank_pattern")).items()}
    if not {*ranks.values()} <= {rank, *rank_pattern.values()}:
        raise ValueError(f"its tensors have the ranks {', '.join(map(str, sorted({*ranks.values()})))}, and its settings name others")
    return LoraConfig(
        r=rank,
        lora_alpha=_parse_alpha(settings.get("lora_alpha")),
        alpha_pattern={_parse_layer(name): _parse_alpha(value) for name, value in _parse_pattern(settings.get("alpha_pattern")).items()},
        rank_pattern={re.escape(layer): value for layer, value in ranks.items() if value != rank},
        target_modules=sorted(ranks),
        **{name: settings.get(name) is True for name in ("use_rslora", "use_dora", "fan_in_fan_out")},
        inference_mode=True,
    )


def load_lora(model: Any, folder: Path, name: str) -> None:
    """Load the tensors of an adapter into a PeftModel that already has an empty adapter called `name`.

    Raises ValueError when the adapter and the model have different layers, and whatever peft and torch raise for wrong shapes.
    """
    loaded = model.load_adapter(str(folder), name)
    if unmatched := [*loaded.unexpected_keys, *loaded.missing_keys]:
        raise ValueError(f"only one of them has {unmatched[0]}")


def _refuse_other_settings(settings: Mapping[str, Any], defaults: Any) -> None:
    """Raise ValueError when a setting is used that is not accepted. An empty value, and peft's default, count as not used."""
    known = (*_USED, *_REPLACED, *_WITHOUT_EFFECT)
    refused = sorted(name for name, value in settings.items() if name not in known and value and value != getattr(defaults, name, value))
    if settings.get("init_lora_weights") not in _HARMLESS_STARTS:
        refused.append("init_lora_weights")
    if refused:
        raise ValueError(f"it sets {', '.join(refused)}, and only adapters without are taken")


def _read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of the tensors in a safetensors file, without the tensors."""
    from safetensors import safe_open

    if not file.is_file():  # reading from a pipe would block
        raise ValueError(f"there is no file {file.name}")
    with safe_open(file, "np") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 -- it is no mapping


def _refuse_infinity(file: Path) -> None:
    """Raise ValueError when a tensor holds NaN or infinity."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        for name in opened.keys():  # noqa: SIM118 -- it is no mapping
            if not opened.get_tensor(name).float().isfinite().all():
                raise ValueError(f"{name[:100]} holds NaN or infinity")


def _find_ranks(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the rank of each layer that the tensors are for. Raises ValueError for other tensors, and for one of a pair without the other.

    The shapes are A (rank, inputs) and B (outputs, rank).
    """
    ranks: dict[str, dict[str, int]] = {}
    for name, shape in shapes.items():
        match = TENSOR_NAME.fullmatch(name)
        if not match or (match[2] and len(shape) != 2):
            raise ValueError(f"it holds {name[:100]}, which is not of a LoRA")
        if match[2]:
            ranks.setdefault(match[1], {})[match[2][-1]] = shape[0] if match[2].endswith("A") else shape[1]
    for layer, pair in ranks.items():
        if {*pair} != {"A", "B"} or pair["A"] != pair["B"]:
            raise ValueError(f"its tensors for {layer[:100]} are not a pair")
    if not ranks:
        raise ValueError("it has no tensors")
    return {layer: pair["A"] for layer, pair in ranks.items()}


def _parse_rank(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a rank is not a whole number of at least 1")
    return value


def _parse_alpha(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _MAX_ALPHA:
        raise ValueError(f"an alpha is not a number up to {_MAX_ALPHA:,}")
    return value


def _parse_pattern(value: Any) -> dict[str, Any]:
    """Return a setting that gives single layers values of their own; empty for None."""
    if value is not None and not isinstance(value, dict):
        raise ValueError("a pattern is not an object")
    return value or {}


def _parse_layer(pattern: str) -> str:
    """Return the pattern when it is the name of a layer. Raises ValueError for a regular expression."""
    if not re.fullmatch(r"[\w.]+", pattern):
        raise ValueError(f"the pattern {pattern[:100]!r} is not the name of a layer")
    return pattern
