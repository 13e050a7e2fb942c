"""Progress on stderr: one line per step, and on a terminal a live line while the model writes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence

from codagent.cli.terminal.output import warn, write
from codagent.repository.attempts import word
from codagent.store.ledger import Spent
from codagent.text import first_argument, first_line, harmless
from codagent.types import Episode, Limits, Message, Reply, Step


class Progress:
    """An observer of episodes. With a `prefix`, for one of several loops, steps are not told, and each line begins with it. `live`: what
    the model writes is shown on a terminal."""

    def __init__(self, *, prefix: str = "", live: bool = True) -> None:
        self._prefix = prefix
        self._steps = not prefix
        self._live = live and self._steps and sys.stderr.isatty()
        self._count = 0
        self._written = ""
        self._chunks = 0
        self._drawn = 0.0

    def say(self, line: str) -> None:
        """One sentence for the person who waits."""
        self._clear()
        warn(f"{self._prefix}{line}")

    def watch(
        self, limits: Limits, spent: Callable[[], Spent], seconds_left: Callable[[], float], *, earlier: Sequence[Episode] = ()
    ) -> None:
        """A loop begins, or goes on after `earlier` episodes, within these limits."""

    def close(self) -> None:
        """Nothing more is told."""
        self._clear()

    def wrote(self, text: str) -> None:
        """A piece of a reply, as it is sampled."""
        self._chunks += 1
        self._written = (self._written + text)[-400:]
        if self._live and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            width = shutil.get_terminal_size().columns - 24
            tail = " ".join(harmless(self._written).split())[-max(0, width) :]
            write(f"\r\x1b[K  … {self._chunks:>5} pieces  {tail}", sys.stderr)

    def started(self, episode: Episode) -> None:
        self._count = 0
        if not self._steps:
            return
        if episode.kind == "notes":
            self.say("notes:")
        else:
            self.say(f"task: {first_line(episode.task.instruction, 80)}" if episode.position == 0 else f"iteration {episode.position + 1}:")

    def replied(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        self._written, self._chunks = "", 0
        if context is not None and self._steps:
            self.say("  (asked with less than all that came before)")

    def stepped(self, step: Step) -> None:
        self._count += 1
        if self._steps:
            self.say(step_line(self._count, step))

    def ended(self, episode: Episode) -> None:
        why = f" ({episode.cause})" if episode.cause else ""
        if episode.kind == "notes":
            if episode.outcome and not episode.outcome.passed:
                self.say(f"the old notes stay: {episode.outcome.feedback}{why}")
            return
        self.say(f"ended: {episode.end}{why}")
        if episode.outcome:
            self.say(f"gates: {word(episode.outcome)}")

    def _clear(self) -> None:
        if self._live:
            write("\r\x1b[K", sys.stderr)


def step_line(number: int, step: Step) -> str:
    """`  3  bash pytest -q → exit 1 · 0.8 s · 1,234+56 tokens`, one line whatever the model wrote."""
    calls = step.reply.message.tool_calls
    answers = [message.content.partition("\n")[0] for message in step.observation.messages]
    told = [f"{call.name} {first_line(first_argument(call), 80)}".rstrip() for call in calls]
    done = "; ".join(f"{call} → {answer[:60]}" for call, answer in zip(told, answers, strict=False)) or "wrote"
    return harmless(f"{number:>3}  {done} · {step.seconds:.1f} s · {step.reply.prompt_tokens:,}+{step.reply.completion_tokens:,} tokens")
