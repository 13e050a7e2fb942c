"""The loops of a group: on a terminal a line for each of them, drawn again and again while they run, else sentences."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from codagent.cli.terminal.live import REDRAWS, score_mark
from codagent.cli.terminal.progress import ProgressLines
from codagent.protocols import Stop, ignore_text
from codagent.runner.display import LoopView
from codagent.runner.endings import sentence_of
from codagent.text import escape_undecodable, first_argument, first_line, strip_controls
from codagent.types import ENDS_LOOP, Episode, Loop, Message, Reply, Step, Task

if TYPE_CHECKING:
    from rich import live
    from rich.text import Text


class GroupLines(ProgressLines):
    """Prints the sentences about all loops where there is no terminal. One that each loop says is printed once."""

    def __init__(self) -> None:
        super().__init__(live=False)
        self._latest = ""

    def say(self, line: str) -> None:
        if line != self._latest:
            self._latest = line
            super().say(line)


class Member:
    """The line of one loop."""

    on_output = staticmethod(ignore_text)

    def __init__(self, board: GroupBoard, prefix: str) -> None:
        self._board, self._prefix = board, prefix
        self._iteration, self._scores, self.doing = 0, "", "waiting"

    def line(self) -> str:
        """Return the loop as one line: `1: iteration 2  ▇▇  bash pytest`."""
        iteration = f"iteration {self._iteration}  {self._scores}  " if self._iteration else ""
        return strip_controls(f"{self._prefix}{iteration}{self.doing}")

    def say(self, line: str) -> None:
        self._board.say(f"{self._prefix}{line}")

    def watch(self, view: LoopView) -> None:
        for episode in view.earlier:
            self.on_episode_end(episode)

    def close(self) -> None:
        pass

    def on_text(self, text: str) -> None:
        pass

    def on_episode_start(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        self.doing = "waiting for the model" if episode.kind == "solve" else "the notes are written"

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        calls = (f"{call.name} {first_line(first_argument(call), 80)}" for call in reply.message.tool_calls)
        self.doing = "; ".join(calls) or self.doing

    def on_step(self, step: Step) -> None:
        self.doing = "checking" if step.observation.end else "waiting for the model"

    def on_episode_end(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        if episode.kind == "solve" and not episode.resumable:
            self._scores += score_mark(episode.outcome)
        if episode.end in ENDS_LOOP:
            self.doing = sentence_of(episode.end)

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:  # noqa: ARG002
        if isinstance(following, Stop):
            self.doing = sentence_of(following.reason)


class GroupBoard(Member):
    """Shows a line for each loop from the first `member` on, and sentences above them."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(self, "")
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._members: list[Member] = []
        self._latest = ""
        self._screen: live.Live | None = None
        self._lock = threading.Lock()

    def member(self, prefix: str) -> Member:
        """Return the display of one more loop."""
        from rich.live import Live

        with self._lock:
            self._members.append(member := Member(self, prefix))
            if self._screen is None:
                self._screen = Live(console=self._console, get_renderable=self._draw, refresh_per_second=REDRAWS, transient=True)
                self._screen.start()
        return member

    def say(self, line: str) -> None:
        """Print a sentence above the lines."""
        from rich.text import Text

        with self._lock:
            if line == self._latest:  # each loop says it
                return
            self._latest = line
        self._console.print(Text(escape_undecodable(strip_controls(line))), soft_wrap=True)

    def close(self) -> None:
        with self._lock:
            screen, self._screen = self._screen, None
        if screen:
            screen.stop()

    def _draw(self) -> Text:
        """Return the lines of the loops. None is wider than the terminal, because a line that wraps could not be removed."""
        from rich.text import Text

        lines = [Text(escape_undecodable(member.line())) for member in list(self._members)]
        for text in lines:
            text.truncate(max(1, self._console.width - 1), overflow="ellipsis")
        return Text("\n").join(lines)
