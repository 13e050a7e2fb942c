"""The dialogue: lines that a person types become turns, commands, or commands in the sandbox."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from codagent.cli import signals
from codagent.cli.session.input.screen import Listener, PlainInput, Screen
from codagent.cli.session.question import Question
from codagent.cli.session.view.ink import clean
from codagent.cli.session.view.meter import Meter
from codagent.cli.session.view.view import View
from codagent.errors import CodagentError
from codagent.repository import git
from codagent.repository.git.command import Git
from codagent.runner.spec import Person
from codagent.session.exchange import follow
from codagent.session.opening import SessionOptions, begin, resume
from codagent.session.session import Session
from codagent.text import count, find_log, first_line, join_names, sanitize

LEAVE = None  # in place of a line
_WORDS = {"exit": "/quit", "quit": "/quit", ":q": "/quit", "help": "/help", "?": "/help"}  # alone in a line


@dataclass(slots=True)
class Typed:
    """The lines that were typed and not worked on so far."""

    lines: queue.SimpleQueue[str | None]
    busy: bool = False  # whether something is done that Ctrl-C stops
    stopping: threading.Lock = field(default_factory=threading.Lock)  # held while what is done is stopped, and while it ends
    leaving: bool = False  # whether the person leaves; what waits is not worked on any more
    asking: bool = False  # whether the model works on a turn, and can be told more


class Chat:
    """A session and what is around it. `run` ends when the person leaves."""

    def __init__(self, options: SessionOptions, view: View, person: Person) -> None:
        self._question = Question()
        self.options = replace(options, access=replace(options.access, ask_call=self._question.ask_call))
        self.view = view
        self._person = person
        self._session: Session | None = None
        self.planning = False
        self.files: tuple[str, ...] = ()  # that are completed after @
        self._typed = Typed(queue.SimpleQueue())
        self._main = threading.main_thread().ident or 0
        self._retry = False  # whether an empty line lets the model go on
        self._branch = self._read_branch()  # as it was when something was done last

    def listener(self) -> Listener:
        """Return who hears the input line."""
        return Listener(self._hear, self._stop, self._leave, lambda: self.expand(""))

    def _read_branch(self) -> list[str]:
        name = Git(self.options.root)("symbolic-ref", "--short", "-q", "HEAD", codes=(0, 1)).decode(errors="replace").strip()
        return [f"branch {name}"] if name else []

    @property
    def session(self) -> Session:
        """The session, a fresh one if there is none."""
        if self._session is None:
            self._session = begin(self.options)
        return self._session

    def status(self) -> str:
        """Describe model, context, tokens, money and branch in a line."""
        plan = ["plan: type go"] if self.planning else []
        return clean("  " + " · ".join([self.options.settings.model.rpartition("#")[2], *self.view.meter.describe(), *self._branch, *plan]))

    def run(self, screen: Screen | PlainInput, start: Callable[[], None]) -> None:
        """Carry out `start`, then one line after the other, until the person leaves. Raises KeyboardInterrupt when a signal ends it."""
        self._question.read = screen.read if isinstance(screen, PlainInput) else None
        self._typed.busy, self._typed.leaving = True, False
        self._guard(start)
        while not signals.was_ended() and self._guard(lambda: self._work_on_next(screen)):
            pass
        if signals.was_ended():
            raise KeyboardInterrupt

    def open(self) -> None:
        """Open the session, so that its first turn begins at once."""
        self.view.work("the sandbox and the model are made ready")
        self.session.open()
        self.view.meter.window = self.session.profile.context_tokens
        self.files = git.list_files(self.options.root, self.session.history.loop.start_commit)

    def ask(self, text: str) -> None:
        """Let the model work on a text; "" lets it go on."""
        if not self.session.is_open:
            self.open()
        self.view.work("your files are compared with those of the agent")
        if conflicts := follow(self.session):
            self.view.error(f"you and the agent changed the same lines of {join_names(conflicts)}; the agent does not see your edits yet")
        had_work = self.session.history.commit
        self._typed.asking = True
        turn = self.session.ask(text)
        self._typed.asking = False
        self._retry = turn.end != "finished"
        if self.session.history.commit != had_work and (change := self.session.history.change()):
            self.tell_change(*change)
        if untold := self.session.take_untold():
            self._typed.lines.put(untold)

    def tell_change(self, before: str, after: str) -> None:
        """Say in a line how much work is not accepted so far."""
        *_, last = git.diff(self.options.root, before, after, stat=True).strip().splitlines() or [""]
        self.view.say(f"{last.strip()} · /diff, /apply or /discard")

    def expand(self, number: str) -> None:
        """Print the whole output of a call, or how it changed a file; "": of the latest."""
        outputs = self.view.outputs
        index = int(number) if number.isdecimal() else len(outputs)
        if not 0 < index <= len(outputs):
            self.view.error(f"there is no output {number or 'so far'}; each cut output says its number")
            return
        log = find_log(outputs[index - 1])
        self.view.print(clean(sanitize(log and self.session.read_output(log)) or outputs[index - 1]))

    def switch(self, loop_id: str | None) -> None:
        """Leave this session and go on with another; None: the latest."""
        other = resume(self.options, loop_id, self._person)
        self.close()
        self._session, self.planning = other, False
        self.options = replace(self.options, settings=other.runner.settings)
        self.open()
        self.show_resumed()

    def show_resumed(self) -> None:
        """Say what the session that goes on was about."""
        history, meter = self.session.history, Meter(self.view.meter.broken_off)
        self.view.meter = meter
        meter.recall(history.episodes)
        meter.window = self.session.profile.context_tokens
        for turn in history.turns[-3:]:
            self.view.say(f"> {first_line(turn.task.instruction, 100)}")
        self.view.say(f"session {self.session.id} goes on after {count(len(history.turns), 'turn')}")
        self._retry = bool(history.turns) and history.turns[-1].end != "finished"
        if change := history.change():
            self.tell_change(*change)

    def describe_left(self) -> str:
        """Say, as the person leaves, what is kept and how it is come back to. "": nothing is."""
        session = self._session
        if session is None or not session.is_open or not session.history.episodes:
            return ""
        change = "; its changes are not in your files" if session.history.change() else ""
        return f"session {session.id} is kept{change}; `codagent session --continue` goes on with it"

    def close(self) -> None:
        """Close the session and its model."""
        session, self._session = self._session, None
        if session:
            session.close()
            session.runner.close()

    def _guard(self, act: Callable[[], bool | None]) -> bool:
        """Carry something out. An error is printed, Ctrl-C ends it. Returns False when it says that the person leaves."""
        try:
            try:
                return act() is not False
            finally:
                self._rest()
        except KeyboardInterrupt:
            self._rest()  # it may have come in the middle of that
            if not self._typed.leaving:
                self.view.say("stopped")
        except CodagentError as error:
            self.view.error(str(error))
            self._retry = True
        return True

    def _rest(self) -> None:
        """Note that nothing is done any more. A Ctrl-C that comes at this moment has nothing to stop and is dropped."""
        while self._typed.busy:
            with suppress(KeyboardInterrupt), self._typed.stopping:
                self._typed.busy = self._typed.asking = False
        self._branch = self._read_branch()
        self.view.rest()

    def _work_on_next(self, screen: Screen | PlainInput) -> bool:
        if isinstance(screen, PlainInput) and self._typed.lines.empty():
            screen.read()
        line = self._typed.lines.get()
        return line is not LEAVE and not self._typed.leaving and self._work_on(line)

    def _hear(self, text: str, shown: str) -> None:
        text = text.strip()
        if shown.strip():
            self.view.print(self.view.ink("bold", "> ") + clean(shown.strip()))
        if self._question.take(text):
            return
        is_text = text and not text.startswith(("/", "!")) and text.lower() not in _WORDS
        if self._typed.asking and is_text and self.session.profile.memory is None:  # a model without memory would not see it
            self.session.type_ahead(text)
            self.view.say("it is told after this step")
        else:
            self._typed.lines.put(text)

    def _leave(self) -> None:
        """Leave, and stop what is done."""
        self._typed.leaving = True
        self._typed.lines.put(LEAVE)
        self._stop()

    def _stop(self) -> bool:
        with self._typed.stopping:
            if self._typed.busy:
                signal.pthread_kill(self._main, signal.SIGINT)
            return self._typed.busy

    def _work_on(self, line: str) -> bool:
        """Work on a line. Returns whether the person stays."""
        from codagent.cli.session.commands.table import run_command

        self._typed.busy = True
        line = _WORDS.get(line.lower(), line)
        if line.startswith("/"):
            self.view.work(clean(first_line(line, 80)))
            return run_command(self, line[1:])
        if line.startswith("!"):
            self._run_in_sandbox(line[1:].strip())
        elif self.planning and line.lower() in ("go", "go!", "go ahead"):
            self.plan(on=False)
            self.ask("Go ahead with the plan.")
        elif line or self._retry:
            self.ask(line)
        return True

    def plan(self, *, on: bool) -> None:
        """Let the model only read, or work again."""
        self.session.plan(on=on)
        self.planning = on

    def _run_in_sandbox(self, command: str) -> None:
        if not command:
            self.view.error("say which command, as in !ls")
            return
        self.view.work(clean(f"! {first_line(command, 200)}"))
        result = self.session.run_command(command)
        self.view.print(clean(sanitize(result.output)).rstrip("\n"))
        if result.exit_code:
            self.view.error(f"exit {result.exit_code}")
