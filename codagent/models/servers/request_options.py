"""What a person wants of every request to a model's server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codagent.types import Effort


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """`effort` is how much the model thinks; None leaves that to the server. `headers` are sent with each request."""

    effort: Effort | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """Return what of it changes the answers, for a record; "" when nothing does."""
        return f" effort {self.effort}" if self.effort else ""


NO_OPTIONS = RequestOptions()
