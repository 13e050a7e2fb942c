"""What `run` and `loop` do before they begin: the task as it was given, the model as it was named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from codagent.cli import options
from codagent.cli.work import Desk
from codagent.config import Settings
from codagent.errors import UsageError
from codagent.job import Ready
from codagent.types import Profile
from codagent.ui.progress import Progress


def instruction_of(task: str | None) -> str | None:
    """The task's text; None asks for a session, which only a terminal can have."""
    if task is None and sys.stdin.isatty():
        return None
    text = sys.stdin.read() if task in (None, "-") else task
    if not text or not text.strip():
        raise UsageError("the task is empty; say what to do, as in `codagent run 'mend the failing test'`")
    return text.strip()


def say_which_model(settings: Settings, progress: Progress) -> None:
    if "model" not in settings.asked:
        progress.say(f"no model was named: using {settings.model}, which runs on this machine (--model or CODAGENT_MODEL chooses another)")


def worst_case(settings: Settings) -> list[str]:
    """The limits of a loop, and what it may cost at most."""
    from codagent.models.opening import price_for

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


def opener(recorded: Profile | None = None, *, answered: int = 0, at_once: int = 1) -> Callable[[Desk], Ready]:
    """What opens a desk's model, for `at_once` loops. One taken up again has its profile on record, and so many replies behind it."""

    def open_it(desk: Desk) -> Ready:
        from codagent.models.opening import Given, open_model, price_for, profile_for

        spec = desk.settings.model
        profile = recorded or profile_for(spec)
        if recorded is None:
            profile = replace(profile, calling=options.probed(spec) or profile.calling)
        given = Given(options.api_key(), options.weights_dir(), answered, at_once)
        model = open_model(spec, on_text=desk.wrote, profile=profile, given=given)
        return Ready(model, profile, price_for(spec))

    return open_it
