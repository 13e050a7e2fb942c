"""Errors that only the trainer raises. The others are in `codagent.errors`."""

from __future__ import annotations

from codagent.errors import CodagentError


class Diverged(CodagentError):
    """A loss or a weight is not finite any more."""

    exit_code = 10

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; start again with a lower `learning_rate` in [learning]; the last checkpoint was saved before this")
