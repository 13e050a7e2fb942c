"""What a person wants of every request to a model's server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codagent.types import Effort


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Options of a request. Not every server has a use for each of them."""

    effort: Effort | None = None  # how much the model thinks; None leaves that to the server
    headers: Mapping[str, str] = field(default_factory=dict)  # that are sent with each
    marks: bool = False  # whether the parts of a prompt that the server is to cache are marked
    ask_server: bool = True  # whether the server is asked what it can do

    def describe(self) -> str:
        """Return what of it changes the answers, for a record; "" when nothing does."""
        return f" effort {self.effort}" if self.effort else ""


NO_OPTIONS = RequestOptions()
