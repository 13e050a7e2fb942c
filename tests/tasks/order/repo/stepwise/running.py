"""Runs the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .errors import StepError
from .ordering import order


def run(needs: Mapping[str, Sequence[str]], actions: Mapping[str, Callable[[], None]]) -> list[str]:
    """Calls the action of every step in order and returns the names; nothing runs if one has no action."""
    steps = order(needs)
    idle = [step for step in steps if step not in actions]
    if idle:
        raise StepError(f"no action for {', '.join(idle)}")
    for step in steps:
        actions[step]()
    return steps
