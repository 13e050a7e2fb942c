"""What the application needs of a display; the terminal has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from codagent.protocols import Observer, Stop
from codagent.types import Episode, Limits, Loop, Message, Reply, Step, Task

if TYPE_CHECKING:
    from codagent.store.ledger import Ledger, Spent


def _no_progress(_: Loop) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class LoopView:
    """What a display may ask about a loop while it runs."""

    limits: Limits
    spent: Callable[[], Spent]  # what settled requests took
    seconds_left: Callable[[], float]
    describe_progress: Callable[[Loop], str] = _no_progress  # the latest iteration in a line, "": nothing to say
    earlier: Sequence[Episode] = ()  # the episodes of a loop that is resumed
    loop: Loop | None = None  # as it begins or goes on; None: a session
    broken_off: Callable[[], Spent] | None = None  # what requests that broke off may have cost beside that; None: it is not known

    @classmethod
    def of(cls, ledger: Ledger) -> LoopView:
        """Return what a display may ask about the loop, or the session, of this ledger."""
        return cls(ledger.limits, lambda: ledger.used, lambda: ledger.seconds_left, broken_off=lambda: ledger.broken_off)


class Display(Observer, Protocol):
    """Where a person sees a loop: an observer that also gets sentences, limits, and replies as the model writes them."""

    def say(self, line: str) -> None:
        """Show one sentence to the person who waits."""

    def watch(self, view: LoopView) -> None:
        """Show a loop from here on."""

    def on_text(self, text: str) -> None:
        """Show a piece of a reply, as the model writes it. "": the model is still being waited for."""

    def on_output(self, text: str) -> None:
        """Show the end of what the command that runs has printed so far. It is called once a second, in another thread."""

    def close(self) -> None:
        """Show nothing more."""


class SilentDisplay:
    """A Display that shows nothing, for loops that nobody watches."""

    def say(self, line: str) -> None: ...
    def watch(self, view: LoopView) -> None: ...
    def on_text(self, text: str) -> None: ...
    def on_output(self, text: str) -> None: ...
    def on_episode_start(self, episode: Episode) -> None: ...
    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None: ...
    def on_step(self, step: Step) -> None: ...
    def on_episode_end(self, episode: Episode) -> None: ...
    def on_iteration(self, loop: Loop, following: Task | Stop) -> None: ...
    def close(self) -> None: ...
