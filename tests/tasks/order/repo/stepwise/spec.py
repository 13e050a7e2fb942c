"""The text form of steps: one line for each, 'name: need, need'."""

from __future__ import annotations

from .errors import StepError


def parse(text: str) -> dict[str, list[str]]:
    """What each step needs, in the order written; '#' starts a comment."""
    needs: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, colon, rest = line.partition(":")
        name = name.strip()
        if not colon or not name:
            raise StepError(f"line {number}: expected 'name: needs', found {line!r}")
        if name in needs:
            raise StepError(f"line {number}: {name} is there twice")
        needs[name] = [need.strip() for need in rest.split(",") if need.strip()]
    return needs
