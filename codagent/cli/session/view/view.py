"""What a person sees of a session: the model's words, its calls with clock and output, edits, and why a turn ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from codagent.cli.session.view.call_lines import describe_call, summarize_call
from codagent.cli.session.view.ink import Ink, clean, wrap, wrap_words
from codagent.cli.session.view.markdown import MarkdownStream, render
from codagent.cli.session.view.meter import Meter
from codagent.cli.terminal.paint import fit
from codagent.cli.terminal.tail import CHECKING, WAITING, describe_piece
from codagent.protocols import CallText, PromptProgress, Restart, Stop, Thought
from codagent.runner.display import LoopView
from codagent.runner.endings import sentence_of
from codagent.session.answered import Answered
from codagent.text import first_argument, first_line, join_names, sanitize
from codagent.types import Episode, Loop, Message, Outcome, Reply, Step, Task, ToolCall

LIVE_LINES = 6  # of what is being written
_NAME_COLUMNS = 24  # of names in a list
_TAIL = 4_000  # characters of it that are looked at
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURN_ENDS = {
    "interrupted": "stopped; what was done is kept. Say how to go on, or press Enter",
    "steps": "the limit of steps for one turn is reached; Enter goes on",
    "repeated": "the model makes the same call again and again; say what to do differently",
    "silent": "the model says the same again and again; say what to do differently",
}


class View:
    """A Display that prints what stays, and offers what changes meanwhile as `live_lines`."""

    def __init__(self, ink: Ink) -> None:
        self.ink, self.meter = ink, Meter()
        self._columns: Callable[[], int] = lambda: 200
        self._redraw: Callable[[], None] = lambda: None
        self._redraw_soon = self._redraw
        self.outputs: list[str] = []  # of all calls, as the model reads them, or their patches, for `/expand`
        self._stream, self._thought = MarkdownStream(), ""
        self._output = ""  # the end of what the command that runs has printed
        self._doing, self._began = "", 0.0
        self._calls: list[ToolCall] = []  # of the latest reply that have no answer
        self._summing = False  # whether the model writes a summary, which is not printed
        self._again = ""  # why the reply is asked for again; "": it is asked for the first time

    def attach(self, columns: Callable[[], int], redraw: Callable[[], None], redraw_soon: Callable[[], None]) -> None:
        """Show it on a screen: `columns` tells the width of the terminal.

        `redraw` is called when the live lines are others, and `redraw_soon` when more of the same text has come.
        """
        self._columns, self._redraw, self._redraw_soon = columns, redraw, redraw_soon

    def print(self, text: str = "") -> None:
        """Print lines that codagent has painted itself."""
        sys.stdout.write(f"{text}\n")

    def print_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names and what each of them is, broken between words where the terminal is narrow."""
        for name, what in rows:
            first, *more = wrap_words(what, max(20, self._columns() - _NAME_COLUMNS - 4)).split("\n")
            self.print(f"  {self.ink('bold', name.ljust(_NAME_COLUMNS))} {first}")
            for line in more:
                self.print(" " * (_NAME_COLUMNS + 3) + line)

    def say(self, line: str) -> None:
        """Print a sentence of codagent's own."""
        self._print_sentence("dim", line)

    def error(self, line: str) -> None:
        """Print a sentence that says what went wrong."""
        self._print_sentence("red", line)

    def _print_sentence(self, style: str, line: str) -> None:
        for part in wrap_words(clean(line), max(20, self._columns() - 1)).split("\n"):
            self.print(self.ink(style, part))

    def markdown(self, text: str) -> None:
        """Print Markdown."""
        if text.strip():
            self.print(render(text, self._columns(), color=self.ink.color))

    def watch(self, view: LoopView) -> None:
        """Let the meter ask what replies that broke off may have cost. It counts the others by itself."""
        if view.broken_off:
            self.meter.broken_off = view.broken_off

    def close(self) -> None:
        self.rest()

    def work(self, doing: str) -> None:
        """Show that something is being done, with a clock."""
        self._doing, self._began, self._output = doing, time.monotonic(), ""
        self._redraw()

    def rest(self) -> None:
        """Show that nothing is being done."""
        self._doing = ""
        self._redraw()

    def live_lines(self) -> list[tuple[str, str]]:
        """Return what changes meanwhile as lines, each with a style and no wider than the terminal."""
        if not self._doing:
            return []
        columns = max(10, self._columns() - 1)
        answer = self._stream.tail(_TAIL)
        tail = self._thought or answer or self._output
        style = "" if tail is answer else "class:thought"
        written = clean(tail[-_TAIL:]).strip("\n").split("\n")[-LIVE_LINES:] if tail.strip() else []
        lines = [(style, part) for line in written for part in wrap(line, columns)][-LIVE_LINES:]
        seconds = time.monotonic() - self._began
        turn = _SPINNER[int(seconds * 8) % len(_SPINNER)]
        return [*lines, ("class:doing", fit(f"{turn} {self._doing} · {seconds:.0f} s", columns))]

    def on_text(self, text: str) -> None:
        if isinstance(text, Restart):
            self._thought = ""
            self._stream.clear()
            if text != self._again:  # the same reason is said once
                self.say(text)
            self._again = text
        elif isinstance(text, Thought):
            self._thought = (self._thought + text)[-_TAIL:]
        elif text and not isinstance(text, PromptProgress):
            self._thought = ""
            self._show(self._stream.finish() if isinstance(text, CallText) else self._stream.add(text))
        if not self._summing:
            self._doing = describe_piece(text) or self._doing
        if text:
            self._redraw_soon()

    def on_output(self, text: str) -> None:
        self._output = sanitize(text)
        self._redraw_soon()

    def on_episode_start(self, episode: Episode) -> None:
        self._again, self._summing = "", episode.kind == "notes"
        self.work(WAITING if episode.kind == "solve" else "the conversation is summed up")

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        self._thought = self._again = ""
        self._show(self._stream.finish())
        self.meter.count(reply)
        self._calls = list(reply.message.tool_calls)
        self._work_on_next_call()

    def on_answer(self, answered: Answered) -> None:
        """Print a call that is done: what was called, how it ended, the last lines of its output, or how it changed a file."""
        self._calls = [call for call in self._calls if call.id != answered.call.id]
        self.outputs.append(answered.patch or answered.answer)
        number = len(self.outputs)
        self.print(summarize_call(answered, self.ink, self._columns()))
        for line in describe_call(answered, self.ink, number):
            self.print(line)
        self._work_on_next_call()

    def on_step(self, step: Step) -> None:
        for message in step.observation.messages:
            if message.role == "user":
                self.say(f"told: {first_line(message.content, 100)}")
        if not self._summing:
            self.work(CHECKING if step.observation.end else WAITING)

    def on_episode_end(self, episode: Episode) -> None:
        self._thought = ""
        if rest := self._stream.finish():
            self._show(rest)
        self._calls = []
        self.meter.note(episode)
        if episode.kind == "notes":
            return
        if sentence := _explain_end(episode):
            self.error(sentence)
        if episode.outcome:
            self.print(self.ink("green" if episode.outcome.passed else "red", clean(describe_outcome(episode.outcome))))

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:
        """Show nothing: a session has no iterations."""

    def _show(self, blocks: str) -> None:
        if blocks.strip() and not self._summing:
            self.markdown(blocks)
            self.print()

    def _work_on_next_call(self) -> None:
        if self._calls:
            call = self._calls[0]
            self.work(clean(f"{call.name} {first_line(first_argument(call), 200)}"))
        else:
            self.work(WAITING)


def describe_outcome(outcome: Outcome) -> str:
    """Say in a line what the checks say."""
    if outcome.passed:
        return "all checks pass"
    named = f": {join_names(outcome.failed, 5)}" if outcome.failed else ""
    return f"the checks do not pass{named}; /check shows why"


def _explain_end(episode: Episode) -> str:
    """Say why a turn has ended; "": the model has answered."""
    if episode.end == "finished":
        return ""
    sentence = _TURN_ENDS.get(str(episode.end), "")
    retry = "; Enter tries again" if episode.end in ("model", "sandbox", "tokens", "seconds", "usd") else ""
    return sentence or f"{episode.cause or sentence_of(episode.end)}{retry}"
