"""What a server has refused of a request's optional fields, learned from its own words, so that each is mended once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from codagent.types import Sampling

Json = dict[str, Any]
_LENGTHS = ("max_tokens", "max_completion_tokens")
_CHOICES = ("temperature", "top_p", "top_k", "seed")
_WINDOW = re.compile(r"(?:maximum|max) context length (?:is|of) (\d+)")
_USED = re.compile(r"\((\d+) in the messages|has (\d+) input tokens|contains (?:at least )?(\d+) input tokens")
_LEAST_ROOM = 256  # tokens; for fewer, the context is better shortened
_NUMBER = re.compile(r"(?<![\w.-])\d{2,7}(?![\w.])")


def find_room(refusal: str) -> int | None:
    """Return how many tokens a reply may have after a prompt that was refused with its reply. None: the server does not say, or few."""
    window, used = _WINDOW.search(refusal), _USED.search(refusal)
    if not window or not used:
        return None
    room = int(window[1]) - int(next(filter(None, used.groups())))
    return room if room >= _LEAST_ROOM else None


@dataclass(slots=True)
class RefusedFields:
    """The changes that a server needs. `longest` is the length that it allows for a reply; None: any."""

    dropped: set[str] = field(default_factory=set)
    length_name: str = "max_tokens"
    longest: int | None = None

    def change(self, body: Mapping[str, Any]) -> Json:
        """Return a request as this server takes it."""
        changed = {key: value for key, value in body.items() if key not in self.dropped}
        if "max_tokens" in changed:
            wanted = changed.pop("max_tokens")
            changed[self.length_name] = wanted if self.longest is None else min(wanted, self.longest)
        return changed

    def learn(self, refusal: str, sent: Mapping[str, Any]) -> bool:
        """Learn from the server's words about what was `sent`. Returns whether that changes the next request.

        The limit of a reply's length gets its other name, or the number that the server allows. It is never dropped.
        """
        named = [key for key in (*_LENGTHS, *_CHOICES) if key in sent and re.search(rf"(?<!\w){key}(?!\w)", refusal)]
        for key in named:
            if key in _CHOICES:
                self.dropped.add(key)
                return True
            allowed = [int(number) for number in _NUMBER.findall(refusal.replace(",", "")) if int(number) < sent[key]]
            other = _LENGTHS[1 - _LENGTHS.index(key)]
            if self.longest is None and allowed and not re.search(rf"(?<!\w){other}(?!\w)", refusal):
                self.longest = max(allowed)
                return True
            if self.length_name == "max_tokens":
                self.length_name = other
                return True
        return False

    def sampled(self, sampling: Sampling) -> Sampling:
        """Return how a reply was sampled: what this server refused was left to it."""
        left: dict[str, Any] = dict.fromkeys(self.dropped)
        return replace(sampling, **left)
