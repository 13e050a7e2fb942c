"""What can be wrong with a set of steps."""

from __future__ import annotations


class StepError(Exception):
    """Any error of this package."""


class UnknownStepError(StepError):
    """A step needs one that is not there."""

    def __init__(self, step: str, need: str) -> None:
        super().__init__(f"{step} needs {need}, which is not a step")


class CycleError(StepError):
    """Steps need each other in a circle; `path` starts and ends with the same step."""

    def __init__(self, path: list[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = path
