"""What a session has used so far, and apart from it what replies that broke off may have cost. No number ever falls."""

from __future__ import annotations

from collections.abc import Callable

from codagent.store.ledger import Spent
from codagent.text import format_usd
from codagent.types import Episode, Reply


class Meter:
    """Tokens and money of all replies, and how full the context is."""

    def __init__(self, broken_off: Callable[[], Spent] = Spent) -> None:
        """`broken_off` tells what was set aside for replies that broke off. They may have been billed."""
        self.broken_off = broken_off
        self.sent = self.received = self.cached = self.replies = 0
        self.usd: float | None = 0.0  # None: the cost of at least one reply is not known
        self.context = self.window = 0  # tokens; 0: not known so far
        self._counted = 0

    def count(self, reply: Reply) -> None:
        """Count a reply."""
        self.sent += reply.prompt_tokens
        self.received += reply.completion_tokens
        self.cached += reply.cached_tokens
        self.replies += 1
        self.context = reply.total_tokens
        self.usd = None if self.usd is None or reply.cost_usd is None else self.usd + reply.cost_usd

    def recall(self, episodes: tuple[Episode, ...]) -> None:
        """Count the replies of a session that goes on."""
        for episode in episodes:
            for step in episode.steps:
                self.count(step.reply)

    def note(self, episode: Episode) -> None:
        """Take note of the end of an episode: after a summary, the context is not known until the next reply."""
        if episode.kind == "notes":
            self.context = 0

    def describe(self) -> list[str]:
        """Return the parts of a status line."""
        parts = []
        if self.context and self.window:
            parts.append(f"context {self.context / self.window:.0%} of {short_number(self.window)}")
        if self.replies:
            cached = f" ({self.cached / self.sent:.0%} cached)" if self.cached and self.sent else ""
            parts += [f"{short_number(self.sent)} in{cached}, {short_number(self.received)} out", format_usd(self.usd)]
        if maybe := self.describe_broken_off():
            parts.append(maybe)
        return parts

    def describe_broken_off(self) -> str:
        """Say what replies that broke off may have cost beside what is known. "": none did."""
        lost = self.broken_off()
        money = f" and {format_usd(lost.usd)}" if lost.usd else ""
        return f"maybe {short_number(lost.tokens)} tokens{money} more" if lost.tokens else ""


def short_number(number: int) -> str:
    """Write a number with three digits at most: 950, 12.3k, 128k, 1.2M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.{0 if number >= 100 * size else 1}f}".removesuffix(".0") + unit
    return str(number)
