"""Progress on stderr: one line for each step, and on a terminal a line that changes while the model writes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable

from codagent.cli.terminal.output import warn, write
from codagent.cli.terminal.paint import count_columns, dim, fit, take_end
from codagent.cli.terminal.tail import CHECKING, NOTING, WAITING, Tail, describe_piece, last_line
from codagent.protocols import Restart, Stop
from codagent.repository.attempts import describe_checks
from codagent.runner.display import LoopView
from codagent.runner.result import describe_end
from codagent.text import count, first_argument, first_line, strip_controls
from codagent.types import Episode, Loop, Message, Reply, Step, Task

_DRAW_S = 0.1  # between two times that the line that changes is drawn
_LONGEST, _LEAST = 160, 20  # columns of what a call was given


class ProgressLines:
    """An observer that prints what happens."""

    def __init__(self, *, prefix: str = "", live: bool = True) -> None:
        """Prepare to print.

        `prefix` begins each line, for one of several loops; steps are then not printed. `live` shows on a terminal what the model writes.
        """
        self._prefix = prefix
        self._steps = not prefix
        self._live = live and self._steps and sys.stderr.isatty()
        self._count = 0
        self._task = ""  # of the latest attempt
        self._tail, self._output = Tail(), ""  # the ends of what the model writes, and of what a command prints
        self._doing, self._began, self._drawn = "", 0.0, 0.0
        self._again = ""  # why the reply is asked for again; "": it is asked for the first time
        self._describe_progress: Callable[[Loop], str] = lambda _: ""

    def say(self, line: str) -> None:
        """Print a sentence for the person who waits."""
        self._clear()
        warn(f"{self._prefix}{line}")

    def watch(self, view: LoopView) -> None:
        """Show the loop of this view from here on."""
        self._describe_progress = view.describe_progress
        self._task = view.earlier[-1].task.id if view.earlier else ""
        steps = view.earlier[-1].steps if view.earlier and view.earlier[-1].resumable else ()
        self._count = sum(step.observation.end != "interrupted" for step in steps)  # one without an answer is done again

    def close(self) -> None:
        """End the display."""
        self._clear()

    def on_text(self, text: str) -> None:
        """Show a piece of a reply, as it is sampled, and that the model is waited for. Say once why a reply is asked for again."""
        if isinstance(text, Restart):
            self._tail = Tail()
            if self._steps and text != self._again:
                self.say(f"  {text}")
            self._again = text
        else:
            self._tail.add(text)
        self._doing = describe_piece(text) or self._doing
        if time.monotonic() - self._drawn > _DRAW_S:
            self._draw()

    def on_output(self, text: str) -> None:
        """Show the last line that a command has printed, with a clock."""
        self._output = last_line(text)
        self._draw()

    def on_episode_start(self, episode: Episode) -> None:
        self._count = 0
        self._work(WAITING if episode.kind == "solve" else NOTING)
        if not self._steps:
            return
        if episode.kind == "notes":
            self.say("notes:")
        else:
            again = episode.task.id == self._task
            self._task = episode.task.id
            self.say(f"iteration {episode.position + 1}:" if again else f"task: {first_line(episode.task.instruction, 80)}")

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        self._again = ""
        self._work("; ".join(f"{call.name} {first_line(first_argument(call), _LONGEST)}" for call in reply.message.tool_calls))
        if context is not None and self._steps:
            self.say("  (the context was shortened)")

    def on_step(self, step: Step) -> None:
        self._count += 1
        if self._steps:
            self.say(self._fit_step(step))
        self._work(CHECKING if step.observation.end else WAITING)

    def on_episode_end(self, episode: Episode) -> None:
        self._work("")
        if episode.kind == "notes":
            if episode.outcome and not episode.outcome.passed:
                why = f" ({episode.cause})" if episode.cause else ""
                self.say(f"the old notes stay: {episode.outcome.feedback}{why}")
            return
        if episode.end == "passed":  # before its first step
            self.say(episode.cause)
            return
        end = describe_end(episode)
        self.say(end if end.startswith("stopped: ") else f"ended: {end}")
        if episode.outcome:
            self.say(f"checks: {describe_checks(episode.outcome)}")

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:
        for line in (self._describe_progress(loop), following.message if isinstance(following, Stop) else ""):
            if line:
                self.say(line)

    def _fit_step(self, step: Step) -> str:
        """Describe a step in one line of the terminal, if there is one."""
        room, line = _LONGEST, format_step(self._count, step)
        while self._live and count_columns(line) >= shutil.get_terminal_size().columns and room > _LEAST:
            room -= _LEAST // 2
            line = format_step(self._count, step, room)
        return line

    def _work(self, doing: str) -> None:
        """Take note of what begins now; "": nothing."""
        self._tail, self._output = Tail(), ""
        self._doing, self._began = doing, time.monotonic()
        self._draw()

    def _draw(self) -> None:
        """Draw the line that changes, if there is something to show."""
        self._drawn = time.monotonic()
        if self._live and self._doing:
            line = self._describe_now(shutil.get_terminal_size().columns - 4)
            write(f"\r\x1b[K  {dim(line) if self._tail.is_thought else line}", sys.stderr)

    def _describe_now(self, columns: int) -> str:
        """Return the end of what the model writes. If it does not write, return what is done, for how long, and what that has printed."""
        if written := self._tail.shown():
            return f"… {take_end(written, columns - 2)}"
        if not self._doing:
            return ""
        clock = f" · {time.monotonic() - self._began:.0f} s"
        line = fit(" ".join(strip_controls(self._doing).split()), columns - len(clock)) + clock
        room = columns - count_columns(line) - 4
        return f"{line}  … {take_end(self._output, room)}" if self._output and room > 0 else line

    def _clear(self) -> None:
        if self._live:
            write("\r\x1b[K", sys.stderr)


def format_step(number: int, step: Step, room: int = _LONGEST) -> str:
    """Return a step as one line, whatever the model wrote: `  3  bash pytest -q → exit 1 · 0.8 s · 1,234 tokens in, 56 out, 90% cached`.

    What a call was given takes at most `room` columns.
    """
    calls = step.reply.message.tool_calls
    answers = [message.content.partition("\n")[0] for message in step.observation.messages]
    texts = [f"{call.name} {fit(first_line(first_argument(call), 80), room)}".rstrip() for call in calls]
    done = "; ".join(f"{call} → {answer[:60]}" for call, answer in zip(texts, answers, strict=False)) or "text"
    return strip_controls(f"{number:>3}  {done} · {step.seconds:.1f} s · {format_tokens(step.reply)}")


def format_tokens(reply: Reply) -> str:
    """Return how many tokens were sent and received, and how much of what was sent came from the provider's cache, if any did."""
    cached = f", {reply.cached_tokens / reply.prompt_tokens:.0%} cached" if reply.cached_tokens and reply.prompt_tokens else ""
    return f"{count(reply.prompt_tokens, 'token')} in, {reply.completion_tokens:,} out{cached}"
