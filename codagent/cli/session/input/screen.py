"""The input line at the bottom of the terminal, in a thread of its own, so that it can be typed into while the agent works."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.screen import Char
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from codagent.cli.session.input.pace import Pace
from codagent.cli.session.input.pastes import Pastes
from codagent.cli.session.input.printer import install
from codagent.text import HIDING_MARKS

PROMPT = "> "
_AGAIN_S = 2.0  # within which a second Ctrl-C leaves
_REFRESH_S = 0.125
_DRAW_S = 0.04  # between two times that text is drawn while it comes
_STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack", "doing": "fg:ansicyan", "thought": "fg:ansibrightblack"})


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what happens at the input line; each is called in the thread of the input line."""

    line: Callable[[str, str], None]  # a line was sent: its text, and how it was shown while it was typed
    stop: Callable[[], bool]  # Ctrl-C; returns whether there was something to stop
    leave: Callable[[], None]  # the person leaves
    expand: Callable[[], None]  # Ctrl-O


class Screen:
    """An input line with live lines above and a status line below it. What is printed meanwhile appears above them."""

    def __init__(
        self,
        listener: Listener,
        *,
        live: Callable[[], list[tuple[str, str]]],
        status: Callable[[], str],
        completer: Completer,
        history: Path,
        color: bool,
    ) -> None:
        history.parent.mkdir(parents=True, exist_ok=True)
        Char.display_mappings |= {mark: f"<{ord(mark):04x}>" for mark in HIDING_MARKS}  # a paste may have them
        self._listener, self._live, self._status = listener, live, status
        self._pastes, self._stopped_at, self._hint = Pastes(), 0.0, ""
        self._early = True  # whether the keys that are read may have been typed before the input line was there
        self._pace = Pace(self.redraw, _DRAW_S)
        self._prompt: PromptSession[str] = PromptSession(
            message=self._draw,
            history=FileHistory(str(history)),
            completer=completer,
            complete_while_typing=Condition(lambda: self._prompt.default_buffer.text.startswith(("/", "@")) or " @" in self._last_word()),
            multiline=True,
            prompt_continuation="  ",
            key_bindings=self._bind_keys(),
            bottom_toolbar=lambda: [("", self._hint or self._status())],
            refresh_interval=_REFRESH_S,
            erase_when_done=True,
            enable_open_in_editor=False,
            style=_STYLE,
            color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        )
        self._prompt.app.key_processor.before_key_press += self._on_key
        self._thread = threading.Thread(target=self._run, name="input", daemon=True)
        self._streams = sys.stdout, sys.stderr

    def start(self) -> None:
        """Show the input line. What is printed from here on appears above it."""
        self._printer = install(self._prompt.app)
        self._thread.start()

    def stop(self) -> None:
        """Remove the input line."""
        app = self._prompt.app
        if app.loop is not None and app.is_running:
            app.loop.call_soon_threadsafe(lambda: app.exit(result="") if app.is_running else None)
        self._thread.join(5)
        sys.stdout, sys.stderr = self._streams
        self._printer.finish()

    def redraw(self) -> None:
        """Draw the live lines anew. From any thread."""
        self._prompt.app.invalidate()

    def redraw_soon(self) -> None:
        """Draw the live lines anew, but not more often than a person sees: at once when this was not asked for lately. From any thread."""
        loop = self._prompt.app.loop
        if loop is not None:
            with suppress(RuntimeError):  # the input line has just gone
                self._pace.ask(loop)

    def columns(self) -> int:
        """Return the width of the terminal."""
        return self._prompt.app.output.get_size().columns

    def _run(self) -> None:
        try:
            self._prompt.prompt(handle_sigint=False)
        except (EOFError, KeyboardInterrupt):
            pass
        finally:
            self._listener.leave()

    def _draw(self) -> StyleAndTextTuples:
        lines: StyleAndTextTuples = []
        for style, line in self._live():
            lines += [(style, line), ("", "\n")]
        return [*lines, ("bold", PROMPT)]

    def _last_word(self) -> str:
        return f" {self._prompt.default_buffer.document.text_before_cursor.rpartition(' ')[2]}"

    def _bind_keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("enter")(self._on_enter)
        keys.add("escape", "enter")(_insert_line_end)
        keys.add("c-j")(self._on_line_end)
        keys.add("c-c")(self._on_interrupt)
        keys.add("c-d", filter=Condition(lambda: not self._prompt.default_buffer.text))(_leave)
        keys.add("c-@", filter=Condition(lambda: self._early and not self._prompt.default_buffer.text))(_leave)  # an early Ctrl-D
        keys.add("c-z")(lambda _: self._say("Ctrl-Z does nothing here; Ctrl-D leaves, and `codagent session --continue` comes back"))
        keys.add("c-g")(lambda event: event.current_buffer.open_in_editor())
        keys.add("c-o")(lambda _: self._listener.expand())
        keys.add(Keys.BracketedPaste)(lambda event: event.current_buffer.insert_text(self._pastes.fold(event.data)))
        return keys

    def _on_enter(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        state = buffer.complete_state
        if state and state.current_completion:  # Enter takes the chosen completion, and sends nothing
            buffer.complete_state = None
            return
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
            return
        shown = buffer.text
        buffer.reset(append_to_history=bool(shown.strip()))
        self._hint = ""
        self._listener.line(self._pastes.unfold(shown), shown)

    def _on_key(self, _: object) -> None:
        """Take note of a key. Those that were typed before the input line was there are read together with the first, in one go."""
        if self._early and (loop := self._prompt.app.loop):
            loop.call_soon(self._end_early)

    def _end_early(self) -> None:
        self._early = False

    def _on_line_end(self, event: KeyPressEvent) -> None:
        """Insert a line end. What was typed before the input line was there has line ends in the place of Enter."""
        if self._early:
            self._on_enter(event)
        else:
            _insert_line_end(event)

    def _on_interrupt(self, event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
            return
        again, self._stopped_at = time.monotonic() - self._stopped_at < _AGAIN_S, time.monotonic()
        if again:
            _leave(event)
        elif not self._listener.stop():
            self._say("press Ctrl-C again, or Ctrl-D, to leave")

    def _say(self, hint: str) -> None:
        """Show a hint in the place of the status line, until the next line is sent."""
        self._hint = hint


def _insert_line_end(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def _leave(event: KeyPressEvent) -> None:
    event.app.exit(exception=EOFError)


class PlainInput:
    """The same for a terminal that can only print lines: a line is read when the agent rests. Ctrl-C reaches the program as usual."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def start(self) -> None:
        """Do nothing: `read` shows the prompt."""

    def stop(self) -> None:
        """Do nothing."""

    def redraw(self) -> None:
        """Do nothing."""

    def redraw_soon(self) -> None:
        """Do nothing."""

    def columns(self) -> int:
        return shutil.get_terminal_size().columns

    def read(self) -> None:
        """Read one line, and let the listener hear it."""
        sys.stdout.write(PROMPT)
        sys.stdout.flush()
        line = sys.stdin.readline()
        if line:
            self._listener.line(line.rstrip("\n"), "")
        else:
            self._listener.leave()
