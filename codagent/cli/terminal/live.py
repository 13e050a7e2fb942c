"""Progress on a terminal: step lines scroll by, and below them stands a block that tells where the loop is and what it has used.

The block is drawn by a thread of `rich`, so that the clock runs while a model thinks or a command works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from codagent.cli.terminal.progress import Progress
from codagent.store.ledger import Spent
from codagent.store.record import broken_off
from codagent.text import escape_undecodable, harmless
from codagent.types import Episode, Limits, Message, Outcome, Reply, Step

if TYPE_CHECKING:
    from rich import live
    from rich.text import Text

REDRAWS = 8  # a second, at most
_LEVELS = "▁▂▃▄▅▆▇█"
_TAIL = 400  # characters of what the model writes that are kept


class Live(Progress):
    """Progress that shows a block from `watch` to `close`, and plain lines outside of that."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._screen: live.Live | None = None
        self._limits = Limits()
        self._spent: Callable[[], Spent] = Spent
        self._seconds_left: Callable[[], float] = float
        self._iteration, self._scores, self._doing, self._tail = 1, "", "", ""

    def watch(
        self, limits: Limits, spent: Callable[[], Spent], seconds_left: Callable[[], float], *, earlier: Sequence[Episode] = ()
    ) -> None:
        """Show the block of a loop, and ask the callables as it is drawn. `earlier` are the episodes of a loop that is taken up again."""
        from rich.live import Live as Screen

        self.close()
        self._limits, self._spent, self._seconds_left = limits, spent, seconds_left
        self._iteration, self._scores, self._doing, self._tail = 1, "", "", ""
        for episode in earlier:
            self._count_in(episode)
        self._screen = Screen(
            console=self._console, get_renderable=self._block, refresh_per_second=REDRAWS, transient=True, redirect_stdout=False
        )
        self._screen.start(refresh=True)

    def close(self) -> None:
        """Take the block off the terminal and give the cursor back. May be called again."""
        screen, self._screen = self._screen, None
        if screen:
            screen.stop()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def say(self, line: str) -> None:
        """One sentence, above the block."""
        from rich.text import Text

        self._console.print(Text(escape_undecodable(harmless(line))), soft_wrap=True)

    def wrote(self, text: str) -> None:
        """A piece of a reply, as it is sampled."""
        self._tail = (self._tail + text)[-_TAIL:]

    def started(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        self._doing = "the model is asked" if episode.kind == "solve" else "the notes are written"
        super().started(episode)

    def replied(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        self._tail = ""
        self._doing = "; ".join(f"{call.name} {call.arguments}" for call in reply.message.tool_calls) or self._doing
        super().replied(reply, context)

    def stepped(self, step: Step) -> None:
        self._doing = "the gates judge" if step.observation.end else "the model is asked"
        super().stepped(step)

    def ended(self, episode: Episode) -> None:
        self._count_in(episode)
        super().ended(episode)

    def _count_in(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        if episode.kind == "solve" and not broken_off(episode):
            self._scores += level(episode.outcome)

    def _block(self) -> Text:
        """Never wider than the terminal, since a line that wraps could not be taken back; where it can be, half as wide, for one that is
        made narrower."""
        from rich.text import Text

        lines = [
            f"iteration {self._iteration} of {self._limits.iterations}  {self._scores[-40:]}",
            used(self._limits, self._spent(), self._seconds_left()),
            self._now(),
        ]
        width = max(1, self._console.width - 1)
        texts = [Text("─" * min(width, 24), style="dim"), *(Text(escape_undecodable(line)) for line in lines)]
        for text in texts:
            text.truncate(width, overflow="ellipsis")
        return Text("\n").join(texts)

    def _now(self) -> str:
        """The end of what the model writes, or what is done otherwise."""
        room = max(8, self._console.width // 2)
        written = " ".join(harmless(self._tail).split())
        return f"… {written[-room:]}" if written else " ".join(harmless(self._doing[:_TAIL]).split())[:room]


def level(outcome: Outcome | None) -> str:
    """A score as one character: ● every gate passed, · none judged, else a bar."""
    if outcome is None:
        return "·"
    return "●" if outcome.passed else _LEVELS[min(7, int(8 * min(1.0, max(0.0, outcome.reward))))]


def used(limits: Limits, spent: Spent, seconds_left: float) -> str:
    """Tokens, money where there is a limit or a bill, and the time that is left."""
    told = [f"{spent.tokens:,} of {limits.tokens:,} tokens"]
    if limits.usd is not None:
        told.append(f"${spent.usd:.2f} of ${limits.usd:.2f}")
    elif spent.usd:
        told.append(f"${spent.usd:.2f}")
    left = max(0.0, seconds_left)
    return " · ".join([*told, f"{left // 60:.0f} min left" if left >= 120 else f"{left:.0f} s left"])
