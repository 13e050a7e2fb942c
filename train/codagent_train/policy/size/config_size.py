"""The size of a model whose weights are not on this machine, from its configuration: for decoders such as Llama, Mistral and Qwen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from codagent.errors import RepositoryError, UsageError
from codagent.files import read_plain
from codagent_train.policy.size.model_size import ModelSize, find_cached, model_size

_BESIDE = 12_000_000  # bytes; the largest tokenizers of these models are so large
_WAIT_S = 5.0
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")  # the names of files of weights end so
_NEEDED = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")

# the models of the shipped recipes, so that these can be checked without a network
_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    "Qwen/Qwen3-8B": {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": False,
    },
}


def require_size(weights: str) -> ModelSize:
    """Return the size of the model that a recipe names, by its weights or, when it has none yet, by its configuration alone.

    Raises UsageError when neither is found, and when the weights of a folder are no safetensors files.
    """
    size = model_size(weights)
    if size is None and (file := next((path for path in Path(weights).glob("*") if path.suffix in _WEIGHTS), None)):
        raise UsageError(f"{file} is not a safetensors file; make the folder again with `codagent-train import`")
    size = size or size_by_config(weights)
    if size is None:
        raise UsageError(
            f"the weights {weights} are not on this machine, and their config.json is not found; if another run makes them, make that run"
            " first, else make a folder of weights with `codagent-train import`, and name it with --weights"
        )
    return size


def size_by_config(weights: str) -> ModelSize | None:
    """Return the size of a model from its configuration: of a folder, the hub's cache, a shipped recipe, or the hub. None: there is none.

    Norms and biases are not counted; they are below a thousandth.
    """
    config = _find_config(weights)
    if config is None:
        return None
    config = config.get("text_config", config)
    if not all(isinstance(config.get(name), int) and config[name] > 0 for name in _NEEDED) or config.get("num_experts"):
        return None
    linears = tuple(_linears(config))
    embeddings = config["vocab_size"] * config["hidden_size"] * (1 if config.get("tie_word_embeddings") else 2)
    return ModelSize(
        parameters=embeddings + sum(out * inputs for out, inputs in linears),
        linears=linears,
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        vocabulary=config["vocab_size"],
        cached=2 * config["num_hidden_layers"] * _key_width(config),
        beside=_BESIDE,
    )


def _linears(config: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield (outputs, inputs) of the layers that LoRA adapts: queries, keys, values, output, and the three of the gated MLP."""
    hidden, inner, keys = config["hidden_size"], config["intermediate_size"], _key_width(config)
    queries = config["num_attention_heads"] * _head_width(config)
    for _ in range(config["num_hidden_layers"]):
        yield from ((queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries))
        yield from ((inner, hidden), (inner, hidden), (hidden, inner))


def _head_width(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _key_width(config: Mapping[str, Any]) -> int:
    return int(config.get("num_key_value_heads") or config["num_attention_heads"]) * _head_width(config)


def _find_config(weights: str) -> Mapping[str, Any] | None:
    folder = Path(weights) if Path(weights).is_dir() else find_cached(weights)
    if folder and (folder / "config.json").is_file():
        with suppress(OSError, ValueError, RepositoryError):
            found = json.loads(read_plain((folder / "config.json").resolve()))
            return found if isinstance(found, dict) else None
    return _KNOWN.get(weights) or _download_config(weights)


def _download_config(name: str) -> Mapping[str, Any] | None:
    """Ask the hub for the configuration, without the repetitions of its own client. None: there is none, or no network."""
    import httpx2
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError, ValueError, httpx2.HTTPError):
        if "/" in name and not name.startswith((".", "/")):
            answer = httpx2.get(hf_hub_url(name, "config.json"), timeout=_WAIT_S, follow_redirects=True)
            found = answer.raise_for_status().json()
            return found if isinstance(found, dict) else None
    return None
