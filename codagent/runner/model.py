"""The model of a run as it was named: opened, with its profile and its price, and what it may cost at most."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.errors import UsageError
from codagent.protocols import ignore_text
from codagent.repository.setups import NOTHING_ALLOWED
from codagent.runner.display import Display
from codagent.runner.spec import OpenedModel
from codagent.settings.settings import NamedModel, Settings
from codagent.store.price import Price
from codagent.text import first_line, format_usd
from codagent.types import Calling, Profile, Task

if TYPE_CHECKING:
    from codagent.mcp.tools import CallAnswer
    from codagent.sandbox.pool import Allow

_IN_PROCESS = ("embedded", "gguf", "adapter")


@dataclass(frozen=True, slots=True)
class Access:
    """What this machine knows beside a model's name."""

    api_key: str | None = None  # for endpoints; None: there is none
    weights: Path | None = None  # the folder of model files; None: the one in the user's cache
    calling: Calling | None = None  # the way of calling tools that `doctor` found to work; None: it was not asked
    secret: bytes = b""  # by which records that were made here are known; b"": they are not sealed
    allow: Allow = NOTHING_ALLOWED  # what repositories set up for their sandboxes is run only when the user allows it
    ask_changes: Callable[[Callable[[str], None], Sequence[str]], bool] | None = None  # tells a person of suspicious changes, asks
    # whether they may be; None: nobody is there
    ask_call: Callable[[Callable[[str], None], str, Callable[[], None]], CallAnswer] | None = None  # says a call of an MCP server's tool,
    # and asks a person whether it may be made, as `AskCall`; None: nobody is there


def say_which_model(settings: Settings, access: Access, display: Display) -> None:
    """Tell the person which model is used when none was named, or when its name was shortened.

    Raises UsageError when there is no such model, or when it is certain that its key is missing.
    """
    _require_key(settings, access)
    if "model" not in settings.asked:
        display.say(f"no model was named: using {settings.model}, which runs on this machine (--model or CODAGENT_MODEL chooses another)")
    written, target = _find_written(settings), find_target(settings)
    if target != written:
        display.say(f"{written} means {target}")
    if target.startswith("adapter:"):
        display.say(_describe_adapter(target))
    if target.startswith("ollama/"):
        from codagent.models.open import full_name

        display.say(f"{target} is asked as {full_name(target)}, because tools only go that way")


def describe_plan(tasks: Sequence[Task], settings: Settings) -> list[str]:
    """Describe what a loop would do, a line each: its tasks, their checks, its limits. UsageError when there is no such model."""
    from codagent.models.open import profile_for

    profile_for(find_target(settings))
    lines = [f"task:       {first_line(task.instruction, 80)}; checks: {', '.join(task.checks)}" for task in tasks]
    return [*lines, *worst_case(settings)]


def _describe_adapter(target: str) -> str:
    """Say which way an adapter takes."""
    from codagent.models.open import find_adapter

    adapter = find_adapter(target)
    if isinstance(adapter, str):
        return f"{target} is served by transformers, because {adapter}"
    return f"{target} runs in llama.cpp over {adapter.source}"


def worst_case(settings: Settings) -> list[str]:
    """Describe the limits of a loop and what it may cost at most, a line each."""
    limits, price = settings.limits, find_price(settings)
    price = price and price.highest()
    if price is None:
        bill = f"the price of {settings.model} is not known; {limits.tokens:,} tokens are the limit"
    elif not price.prompt_usd and not price.completion_usd:
        bill = "$0, the model runs on this machine"
    else:
        most = limits.tokens * max(price.prompt_usd, price.completion_usd)
        bill = format_usd(most if limits.usd is None else min(most, limits.usd))
    return [
        f"model:      {settings.model}",
        f"iterations: {limits.iterations} at each task, {limits.patience} without progress, {limits.steps} steps in each",
        f"limits:     {limits.tokens:,} tokens, {limits.seconds:,.0f} s"
        + ("" if limits.usd is None or price is None else f", ${limits.usd:g}"),
        f"worst case: {bill}",
    ]


def open_model(
    settings: Settings,
    access: Access,
    profile: Profile | None = None,
    *,
    answered: int = 0,
    at_once: int = 1,
    say: Callable[[str], None] = ignore_text,
) -> OpenedModel:
    """Open the model that the settings name.

    `profile` is that of a record; None: the model's own, with the window that its server tells. `answered` is how many replies a resumed
    loop has got before. `at_once` is how many loops will ask the model side by side. `say` hears once a minute that the model is waited
    for. Raises UsageError when there is no such model, or when it is certain that its key is missing.
    """
    from codagent.models import open as models
    from codagent.models.servers.request_options import RequestOptions

    _require_key(settings, access)
    named = _describe(settings)
    chosen = profile or find_profile(settings, access)
    options = models.ModelOptions(
        api_key=access.api_key,
        named_key=_read_key(settings.model, named),
        weights=access.weights,
        answered=answered,
        at_once=at_once,
        seconds=min(60.0, settings.limits.seconds),
        wait_s=settings.limits.wait,
        say=say,
        request=RequestOptions(settings.effort or named.effort, named.headers),
    )
    model = models.open_model(named.url, profile=chosen, options=options)
    if profile is None and named.window is None and (window := models.find_window(model)):
        chosen = _fit(chosen, window)
    return OpenedModel(model, chosen, find_price(settings))


def find_target(settings: Settings) -> str:
    """Return where the model that the settings name is: its full name or its address. Raises UsageError when there is no such model."""
    return _describe(settings).url


def takes_memory(settings: Settings) -> bool:
    """Return whether the model runs in this process, so that loops share it. Raises UsageError when there is no such model."""
    return find_target(settings).startswith(_IN_PROCESS)


def find_price(settings: Settings) -> Price | None:
    """Return the price of the model that the settings name. Returns None when it is not known."""
    from codagent.models.open import full_name, price_for

    named = _describe(settings)
    if named.price is None:
        return price_for(full_name(named.url))
    usd = {key: value / 1e6 for key, value in named.price.items()}
    return Price(usd["prompt"], usd["completion"], usd.get("cached"))


def find_profile(settings: Settings, access: Access) -> Profile:
    """Return how the model that the settings name is best worked with. Raises UsageError when there is no such model."""
    from codagent.models.open import profile_for

    named = _describe(settings)
    profile = profile_for(named.url)
    sampling = replace(profile.sampling, max_tokens=named.max_output or profile.sampling.max_tokens)
    profile = replace(profile, calling=named.calling or access.calling or profile.calling, sampling=sampling)
    return _fit(profile, named.window or profile.context_tokens)


def _fit(profile: Profile, window: int) -> Profile:
    """Return the profile for a model that takes `window` tokens. A reply takes half of them at most."""
    sampling = replace(profile.sampling, max_tokens=min(profile.sampling.max_tokens, window // 2))
    return replace(profile, context_tokens=window, sampling=sampling)


def _describe(settings: Settings) -> NamedModel:
    """Return what the user's file says of the model. Its `url` is a full name or an address."""
    from codagent.models.names import resolve_name

    named = settings.models.get(settings.model, NamedModel())
    return replace(named, url=resolve_name(_find_written(settings)))


def _find_written(settings: Settings) -> str:
    """Return the name or the address of the model as the user wrote it."""
    named = settings.models.get(settings.model)
    return (named and named.url) or settings.model


def _require_key(settings: Settings, access: Access) -> None:
    """Raise UsageError when it is certain that the key of the model is missing. A header of the user's own may hold it."""
    from codagent.models.servers.provider_keys import ENDPOINT_KEY, find_missing_key

    named = _describe(settings)
    environment = {**os.environ, ENDPOINT_KEY: access.api_key or ""}
    if not (named.key_env or named.headers) and (variable := find_missing_key(named.url, environment)):
        raise UsageError(f"{named.url} needs an API key, and the environment variable {variable} is not set; set it, or take another model")


def _read_key(name: str, named: NamedModel) -> str | None:
    if not named.key_env:
        return None
    key = os.environ.get(named.key_env)
    if not key:
        raise UsageError(f"the environment variable {named.key_env}, which holds the key of {name}, is not set; set it, or change key_env")
    return key
