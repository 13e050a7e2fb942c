"""What litellm's table of models says of a model: its price, its levels of effort, and whether its prompts are marked for caching."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.store.price import Price
from codagent.types import EFFORTS, Effort, Profile

_TABLE = "model_prices_and_context_window_backup.json"
_FREE = Price(0.0, 0.0)
_LONG = 16_384  # tokens of a reply of a model that thinks
_TIER = re.compile(r"(input_cost_per_token|cache_creation_input_token_cost|output_cost_per_token)(?:_above_(\d+)k_tokens)?")
# These providers cache only what is marked. The others cache by themselves, or not at all.
_MARKED = re.compile(r"^anthropic/|^(bedrock|vertex_ai|azure_ai|databricks)/.*claude")


@cache
def load() -> Any:
    """Import litellm, configured to download nothing and to print nothing."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    warnings.filterwarnings("ignore", module=r"(litellm|pydantic|openai)(\.|$)")
    litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


@cache
def read_table() -> Mapping[str, Mapping[str, Any]]:
    """Read the table from litellm's package. Where it lies elsewhere, litellm is imported, which takes seconds."""
    spec = find_spec("litellm")
    for folder in (spec and spec.submodule_search_locations) or ():
        with suppress(OSError, ValueError):
            table: Mapping[str, Mapping[str, Any]] = json.loads((Path(folder) / _TABLE).read_text(encoding="utf-8"))
            return table
    return load().model_cost  # type: ignore[no-any-return]


def find_entry(model: str) -> Mapping[str, Any]:
    """Return litellm's entry for `model`. It is empty when litellm does not know the model."""
    costs = load().model_cost
    entry: Mapping[str, Any] = costs.get(model) or costs.get(model.partition("/")[2]) or {}
    return entry


def find_price(model: str) -> Price | None:
    """Return the price of `model`. Returns None when litellm has none for it. A model of Ollama costs nothing, known or not.

    The highest price of a token is that of the longest prompt that the model takes, written into a cache.
    """
    entry = find_entry(model)
    if "input_cost_per_token" not in entry or "output_cost_per_token" not in entry:
        return _FREE if model.startswith(("ollama/", "ollama_chat/")) else None
    prompt, completion = entry["input_cost_per_token"], entry["output_cost_per_token"]
    tiers = list(_reached_tiers(entry))
    return Price(
        prompt,
        completion,
        cached_usd=entry.get("cache_read_input_token_cost"),
        highest_prompt_usd=max(prompt, *(usd for name, usd in tiers if not name.startswith("output"))),
        highest_completion_usd=max(completion, *(usd for name, usd in tiers if name.startswith("output"))),
    )


def find_profile(model: str, usual: Profile) -> Profile:
    """Return how to work with `model`: as is `usual`, but with its window, and with replies that leave room to think.

    Raises UsageError when litellm does not know its provider.
    """
    _require_provider(model)
    entry = find_entry(model)
    longest = _LONG if entry.get("supports_reasoning") else usual.sampling.max_tokens
    sampling = replace(usual.sampling, max_tokens=min(longest, entry.get("max_output_tokens") or longest))
    return replace(usual, context_tokens=entry.get("max_input_tokens") or usual.context_tokens, sampling=sampling)


def _require_provider(model: str) -> None:
    litellm, provider = load(), model.partition("/")[0]
    try:
        litellm.get_llm_provider(model=model)
    except litellm.exceptions.BadRequestError:
        near = get_close_matches(provider, [str(getattr(known, "value", known)) for known in litellm.provider_list], n=1)
        question = f"; did you mean {near[0]}/{model.partition('/')[2]}?" if near else "; https://docs.litellm.ai/docs/providers lists them"
        raise UsageError(f"unknown model {model!r}: there is no provider {provider!r}{question}") from None


def find_cost(model: str, usage: Any) -> float | None:
    """Return what a reply cost in US dollars, as its usage says. Returns None when no price is known.

    litellm fills in the cost by its table, writing to a cache included.
    """
    stated, price = getattr(usage, "cost", None), find_price(model)
    if isinstance(stated, int | float) and (stated or price):
        return float(stated)
    return None if price is None else price.cost(usage.prompt_tokens, usage.completion_tokens, count_cached(usage))


def count_cached(usage: Any) -> int:
    """Return how many tokens of a prompt were read from the provider's cache."""
    return getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None) or 0


def choose_effort(model: str, effort: Effort) -> str:
    """Return the name that the model has for an effort, or for the nearest effort that it has."""
    entry = find_entry(model)
    if levels := entry.get("reasoning_effort_levels"):
        wanted = EFFORTS.index(effort)
        known = [level for level in levels if level in EFFORTS]
        return min(known, key=lambda level: abs(EFFORTS.index(level) - wanted), default=effort)
    if effort == "max":
        return next((level for level in ("max", "xhigh") if entry.get(f"supports_{level}_reasoning_effort")), "high")
    if effort == "minimal" and entry.get("supports_minimal_reasoning_effort") is False:
        return "low"
    return effort


def wants_marks(model: str) -> bool:
    """Whether the provider caches only the parts of a prompt that are marked for it."""
    return bool(_MARKED.search(model))


def _reached_tiers(entry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield each price of a token that a prompt within the model's window can reach, with its name."""
    window = entry.get("max_input_tokens") or float("inf")
    for key, usd in entry.items():
        tier = _TIER.fullmatch(key)
        if tier and isinstance(usd, int | float) and int(tier[2] or 0) * 1000 < window:
            yield tier[1], usd
