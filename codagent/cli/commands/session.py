"""`codagent session`: a conversation on a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codagent import __version__
from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_local, allow_servers
from codagent.cli.terminal.output import say, warn
from codagent.errors import UsageError
from codagent.repository import git
from codagent.settings.settings import LOCAL
from codagent.store import layout

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat
    from codagent.cli.session.input.screen import PlainInput, Screen
    from codagent.settings.settings import Settings

WAIT_S = 120.0  # a person waits for a run and for a turn; a loop may wait longer

Continue = Annotated[bool, typer.Option("--continue", help="Continue the latest session.")]
Resume = Annotated[str | None, typer.Option("--resume", metavar="ID", help="Continue this session.")]


@options.takes_settings(*options.OF_RUN)
def session(
    *,
    continue_: Continue = False,
    resume: Resume = None,
    repo: options.Repo = Path(),
    flags: options.Flags,
    record: options.RecordDir = None,
    seed: options.Seed = None,
) -> None:
    """Talk with the agent about a repository.

    It works in a sandbox, and your files change when you accept its work. The limits hold for each turn.
    """
    open_session(repo, record, seed, flags, resumed=resume if resume is not None else "" if continue_ else None)


def open_session(repo: Path, record: Path | None, seed: int | None, flags: dict[str, Any], *, resumed: str | None = None) -> None:
    """Hold a session on this terminal. `resumed` is the id of a session to go on with; "": the latest; None: a fresh one.

    Raises UsageError without a terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("a session needs a terminal; `codagent run TASK` works without")
    root = git.find_root(repo)
    settings = options.read_settings(root, wait_s=WAIT_S, **flags)
    allow_local(root, settings)
    settings = allow_servers(root, settings)
    loops = options.loops_dir(root, record, make=True)
    chat, screen = _open_chat(root, loops, settings, flags, seed)
    if resumed is None:
        say(f"codagent {__version__} · ask, or say what to do; /help lists the commands, /quit leaves")
        place = "on a copy" if settings.sandbox == LOCAL else "in a sandbox"
        say(f"The agent works {place}. Your files change when you type /apply, and /undo takes that back.")

    def start() -> None:
        from codagent.runner.model import say_which_model

        if resumed is not None:
            chat.switch(resumed or None)
            return
        say_which_model(settings, chat.options.access, chat.view)
        chat.open()

    if settings.sandbox_setup:  # a person may be asked whether its set-up may run, while no input line is shown
        _ = chat.session
    screen.start()
    with ExitStack() as leaving:
        leaving.callback(screen.stop)  # last: before, it would be over what is printed
        leaving.callback(_close, chat)
        chat.run(screen, start)


def _close(chat: Chat) -> None:
    left = chat.describe_left()
    chat.close()
    if left:
        chat.view.say(left)


def _open_chat(root: Path, loops: Path, settings: Settings, flags: dict[str, Any], seed: int | None) -> tuple[Chat, Screen | PlainInput]:
    """Put together the dialogue and its screen; on a terminal that cannot move its cursor, the screen only prints lines."""
    from codagent.cli.session.chat import Chat
    from codagent.cli.session.commands.table import describe_all
    from codagent.cli.session.input.completion import SessionCompleter
    from codagent.cli.session.input.screen import PlainInput, Screen
    from codagent.cli.session.view.ink import Ink
    from codagent.cli.session.view.view import View
    from codagent.session.opening import SessionOptions

    fancy = os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "") and sys.stdout.isatty()
    view = View(Ink(color=fancy and options.colour()))
    access, own = options.access(settings.model), user_files.read_own()
    read_limits = partial(options.read_limits, root, flags, wait_s=WAIT_S)
    opening = SessionOptions(root, loops, settings, access, view, view.on_answer, seed, own, read_limits)
    chat = Chat(opening, view, options.person(warn, flags))
    screen: Screen | PlainInput = PlainInput(chat.listener())
    if fancy:
        history = layout.home_dir(root, user_files.user_dir("XDG_STATE_HOME", ".local/state") / "histories")
        completer = SessionCompleter(lambda: describe_all(chat), lambda: chat.files)
        screen = Screen(
            chat.listener(), live=view.live_lines, status=chat.status, completer=completer, history=history, color=options.colour()
        )
    view.attach(screen.columns, screen.redraw, screen.redraw_soon)
    return chat, screen
