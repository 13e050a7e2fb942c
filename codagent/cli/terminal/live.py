"""Progress on a terminal: lines for the steps, and below them a block that shows the state of the loop and what it has used.

A thread of `rich` draws the block, so that the clock runs while a model or a command works.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from codagent.cli.terminal.progress import ProgressLines
from codagent.runner.display import LoopView
from codagent.store.ledger import Spent
from codagent.text import describe_iteration, escape_undecodable, format_usd, strip_controls
from codagent.types import Episode, Limits, Message, Outcome, Reply

if TYPE_CHECKING:
    from rich import live
    from rich.text import Text

REDRAWS = 8  # a second, at most
_LEVELS = "▁▂▃▄▅▆▇█"
_DOING = 400  # characters of what is being done that are looked at


class Live(ProgressLines):
    """Shows a block between `watch` and `close`, and plain lines at any time."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._screen: live.Live | None = None
        self._view = LoopView(Limits(), Spent, float)
        self._iteration, self._scores = 1, ""
        self._first = 0  # the position of the first attempt at the task
        self._prompt_tokens = self._cached_tokens = 0

    def watch(self, view: LoopView) -> None:
        """Show the block of a loop, and ask the view each time it is drawn."""
        from rich.live import Live as Screen

        self.close()
        super().watch(view)
        self._view = view
        self._iteration, self._scores = 1, ""
        self._first = next((episode.position for episode in view.earlier if episode.task.id == self._task), 0)
        self._work("the start is prepared and checked")
        for episode in view.earlier:
            self._count_episode(episode)
        self._screen = Screen(
            console=self._console, get_renderable=self._draw_block, refresh_per_second=REDRAWS, transient=True, redirect_stdout=False
        )
        self._screen.start(refresh=True)

    def close(self) -> None:
        """Remove the block and show the cursor. It may be called more than once."""
        screen, self._screen = self._screen, None
        if screen:
            screen.stop()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def say(self, line: str) -> None:
        """Print a sentence above the block."""
        from rich.text import Text

        self._console.print(Text(escape_undecodable(strip_controls(line))), soft_wrap=True)

    def on_episode_start(self, episode: Episode) -> None:
        if episode.task.id != self._task:
            self._first = episode.position
        self._iteration = episode.position + 1
        super().on_episode_start(episode)

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        self._prompt_tokens += reply.prompt_tokens
        self._cached_tokens += reply.cached_tokens
        super().on_reply(reply, context)

    def on_episode_end(self, episode: Episode) -> None:
        self._count_episode(episode)
        super().on_episode_end(episode)

    def _draw(self) -> None:
        """Do nothing: a thread draws the block."""

    def _count_episode(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        if episode.kind == "solve" and not episode.resumable:
            self._scores += score_mark(episode.outcome)

    def _draw_block(self) -> Text:
        """Return the block. Each line fits into the terminal, because a line that wraps could not be removed.

        Where it can be, a line is only half as wide, so that it still fits when the terminal is made narrower.
        """
        from rich.text import Text

        lines = [
            f"{describe_iteration(self._iteration, self._iteration - self._first, self._view.limits.iterations)}  {self._scores[-40:]}",
            format_usage(
                self._view.limits, self._view.spent(), self._view.seconds_left(), self._cached_tokens / max(1, self._prompt_tokens)
            ),
            self._describe_now(max(8, self._console.width // 2)),
        ]
        width = max(1, self._console.width - 1)
        texts = [Text("─" * min(width, 24), style="dim"), *(Text(escape_undecodable(line)) for line in lines)]
        if self._tail.is_thought:
            texts[-1].stylize("dim")
        for text in texts:
            text.truncate(width, overflow="ellipsis")
        return Text("\n").join(texts)


def score_mark(outcome: Outcome | None) -> str:
    """Return a score as one character: ● when every gate passed, · when no gate judged, else a bar."""
    if outcome is None:
        return "·"
    return "●" if outcome.passed else _LEVELS[min(7, int(8 * min(1.0, max(0.0, outcome.reward))))]


def format_usage(limits: Limits, spent: Spent, seconds_left: float, cached_share: float = 0.0) -> str:
    """Return the tokens, the share of the prompts that came from a provider's cache, the money, and the time left."""
    parts = [f"{spent.tokens:,} of {limits.tokens:,} tokens"]
    if cached_share:
        parts.append(f"{cached_share:.0%} cached")
    if limits.usd is not None:
        parts.append(f"{format_usd(spent.usd)} of {format_usd(limits.usd)}")
    else:
        parts.append(format_usd(spent.usd or None))
    left = max(0.0, seconds_left)
    return " · ".join([*parts, f"{left // 60:.0f} min left" if left >= 120 else f"{left:.0f} s left"])
