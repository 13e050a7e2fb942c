"""The order in which steps can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import CycleError, UnknownStepError


def order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Every step once, after all the steps that it needs, otherwise in the order written.

    Raises CycleError with the path of the circle if steps need each other, and
    UnknownStepError if a step needs one that `needs` does not have.
    """
    done: list[str] = []
    seen: set[str] = set()

    def visit(step: str) -> None:
        if step in seen:
            return
        seen.add(step)
        for need in needs[step]:
            if need == step:
                raise CycleError([step, step])
            if need not in needs:
                raise UnknownStepError(step, need)
            visit(need)
        done.append(step)

    for step in needs:
        visit(step)
    return done
