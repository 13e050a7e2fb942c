"""The settings of a run, as all that reads them takes them. `layers` puts them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from codagent.types import Limits

LOCAL = "local"  # the sandbox that does not isolate


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person asked for, with defaults for the rest."""

    model: str = "embedded"
    checks: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()  # globs of files that the checks see as they stood at the start
    sandbox: str = "python"  # its name
    sandbox_setup: Mapping[str, Any] = field(default_factory=dict)  # the other keys of [sandbox]
    limits: Limits = Limits()
    notes_tokens: int = 800
    asked: frozenset[str] = frozenset()  # the keys that some layer set; the others are defaults
