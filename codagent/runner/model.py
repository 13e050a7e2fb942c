"""The model of a run as it was named: opened, with its profile and its price, and what it may cost at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from codagent.runner.runner import Desk, Display
from codagent.runner.spec import Ready
from codagent.settings.settings import Settings
from codagent.types import Calling, Profile


@dataclass(frozen=True, slots=True)
class Access:
    """What this machine knows beside a model's name. `api_key` is for endpoints, None: there is none. `weights` is where files are kept,
    None: in the user's cache. `calling` is the way of calling tools that `doctor` found to work, None: it was not asked."""

    api_key: str | None = None
    weights: Path | None = None
    calling: Calling | None = None
    secret: bytes = b""  # by which records that were made here are known; empty: they are not sealed


def say_which_model(settings: Settings, progress: Display) -> None:
    if "model" not in settings.asked:
        progress.say(f"no model was named: using {settings.model}, which runs on this machine (--model or CODAGENT_MODEL chooses another)")


def worst_case(settings: Settings) -> list[str]:
    """The limits of a loop, and what it may cost at most."""
    from codagent.models.open import price_for

    limits, price = settings.limits, price_for(settings.model)
    if price is None:
        bill = f"the price of {settings.model} is not known; {limits.tokens:,} tokens are the limit"
    elif not price.prompt_usd and not price.completion_usd:
        bill = "$0, the model runs on this machine"
    else:
        most = limits.tokens * max(price.prompt_usd, price.completion_usd)
        bill = f"${most if limits.usd is None else min(most, limits.usd):.2f}"
    return [
        f"model:      {settings.model}",
        f"iterations: {limits.iterations} at each task, {limits.patience} without progress, {limits.steps} steps in each",
        f"limits:     {limits.tokens:,} tokens, {limits.seconds:,.0f} s" + ("" if limits.usd is None else f", ${limits.usd:g}"),
        f"worst case: {bill}",
    ]


def opener(access: Access, recorded: Profile | None = None, *, answered: int = 0, at_once: int = 1) -> Callable[[Desk], Ready]:
    """What opens a desk's model, for `at_once` loops. One taken up again has its profile on record, and so many replies behind it."""

    def open_it(desk: Desk) -> Ready:
        from codagent.models.open import ModelOptions, open_model, price_for, profile_for

        spec = desk.settings.model
        profile = recorded or profile_for(spec)
        if recorded is None:
            profile = replace(profile, calling=access.calling or profile.calling)
        given = ModelOptions(access.api_key, access.weights, answered, at_once)
        model = open_model(spec, on_text=desk.wrote, profile=profile, options=given)
        return Ready(model, profile, price_for(spec))

    return open_it
