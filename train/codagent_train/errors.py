"""Errors that only the trainer raises. The others are in `codagent.errors`."""

from __future__ import annotations

from codagent.errors import CodagentError


class Diverged(CodagentError):
    """A loss or a weight is not finite any more."""

    exit_code = 10

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; start again with a lower `learning_rate` in [learning]; the last checkpoint was saved before this")


class PhaseFailed(CodagentError):
    """A command that another one ran has failed, and said why. `exit_code` is its own; that of a killed one is 1."""

    def __init__(self, command: str, exit_code: int) -> None:
        super().__init__(f"`{command}` ended with {exit_code}; it says why above. Go on with --resume")
        self.exit_code = max(exit_code, 1)
