"""Parsers of options that are numbers. The trainer's command line uses them, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import typer


def at_least(least: float, kind: type[int] | type[float] = int, *, most: float = math.inf) -> Callable[[str], float]:
    """Return the parser of an option that takes a number of at least `least`, and of at most `most`."""

    def parse(text: str) -> float:
        with suppress(ValueError, OverflowError):
            if least <= (number := kind(text)) <= most:
                return number
        limits = f"at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
        raise typer.BadParameter(f"{text!r} is not a {'whole number' if kind is int else 'number'} of {limits}")

    return parse
