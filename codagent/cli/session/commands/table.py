"""The table of all commands, and how a line is carried out."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from codagent.cli.session.commands import around, custom, talk, work
from codagent.cli.session.commands.slash_command import Command
from codagent.errors import UsageError

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat

QUIT = "quit"


def run_command(chat: Chat, line: str) -> bool:
    """Carry out a line without its slash. Returns whether the person stays. A name may be shortened while it is clear, and
    is no command of the person's own."""
    name, _, rest = line.strip().partition(" ")
    if name in (QUIT, "exit", "q"):
        return False
    if name in ("help", "?", ""):
        _help(chat)
        return True
    text = "" if name in commands() else custom.read_command(chat.options.root, name, rest.strip())
    if text:
        chat.ask(text)
    elif command := _find(name):
        if rest.strip() and not command.arguments:
            raise UsageError(f"/{command.name} takes nothing after it, so nothing was done")
        command.run(chat, rest.strip())
    else:
        near = difflib.get_close_matches(name, describe_all(chat), 1)
        meant = f"; did you mean /{near[0]}?" if near else ";"
        chat.view.error(f"there is no command /{name}{meant} /help lists them")
    return True


def commands() -> dict[str, Command]:
    """Return the commands by name."""
    return {command.name: command for command in (*work.COMMANDS, *talk.COMMANDS, *around.COMMANDS)}


def describe_all(chat: Chat) -> dict[str, str]:
    """Return all names, the person's own too, with what the commands do."""
    own = dict.fromkeys(custom.list_commands(chat.options.root), "your own command")
    return {"help": "list the commands", QUIT: "leave", **{name: command.what for name, command in commands().items()}, **own}


def _find(name: str) -> Command | None:
    table = commands()
    matching = [name] if name in table else [known for known in table if known.startswith(name)]
    return table[matching[0]] if len(matching) == 1 else None


def _help(chat: Chat) -> None:
    rows = [("/help", "list the commands"), ("/quit", "leave; /quit, Ctrl-D, or Ctrl-C twice")]
    rows += [(f"/{command.name} {command.arguments}".rstrip(), command.what) for command in commands().values()]
    rows += [(f"/{name}", "your own, .codagent/commands") for name in custom.list_commands(chat.options.root)]
    rows += [
        ("!COMMAND", "run a command in the sandbox; the model sees it"),
        ("@PATH", "tell the model a file; Tab completes"),
        ("Alt-Enter", "a new line in the input; so does \\ before Enter"),
        ("Ctrl-C", "stop what is done; twice leaves"),
        ("Ctrl-G", "write in your editor"),
        ("Ctrl-O", "show the latest output in full"),
    ]
    chat.view.print_rows(rows)
