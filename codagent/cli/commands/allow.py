"""`codagent sandbox allow`, and the questions of commands on a terminal: about set-ups, hooks, servers, and the local sandbox."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import typer

from codagent.cli import options
from codagent.cli.terminal.output import say, warn
from codagent.errors import UsageError
from codagent.repository import git
from codagent.settings.settings import LOCAL
from codagent.text import escape_controls, join_names

if TYPE_CHECKING:
    from codagent.mcp.tools import CallAnswer
    from codagent.repository.setups import AllowedSetups
    from codagent.sandbox.images.setup import Files, Setup
    from codagent.settings.hooks import Hook
    from codagent.settings.settings import Settings
    from codagent.settings.trust import Brought

_LISTED = 100  # names of a context that are shown
_ASKING = Lock()  # loops of a group ask one after another
HOW_TO_ALLOW = "may this call be made? y: yes; a: yes, and do not ask again about this tool; n: no [y/a/N]"

TaskFileArgument = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A task file that brings a set-up.", show_default=False)]


def allow(file: TaskFileArgument = None, *, repo: options.Repo = Path(), sandbox: options.Sandbox = None) -> None:
    """Show what a repository sets up for its sandbox, and allow it.

    The set-up then runs when it is needed, until it changes. FILE is a task file that has a set-up.
    """
    from codagent.repository.setups import read_setup_of
    from codagent.sandbox.definition import load_for_repository
    from codagent.settings.settings import Settings
    from codagent.settings.task_file import read_tasks

    root = git.find_root(repo)
    settings = options.read_settings(root, read_tasks(file).settings if file else None, sandbox=sandbox)
    name = Settings().sandbox if settings.sandbox == LOCAL else settings.sandbox
    setup = read_setup_of(root, load_for_repository(name, settings.sandbox_setup))
    if setup is None:
        say("nothing is set up here, so there is nothing to allow")
        return
    say("\n".join(_describe(setup)))
    allowed_setups().add(setup)
    say("allowed")


def allow_hooks(root: Path, hooks: tuple[Hook, ...]) -> tuple[Hook, ...]:
    """Return the hooks of a repository when the person has allowed them. Else none of them runs."""
    from codagent.settings.hooks import describe_brought

    return hooks if _allow(describe_brought(root, hooks)) else ()


def allow_servers(root: Path, settings: Settings) -> Settings:
    """Return the settings with the MCP servers that a repository brings, when the person has allowed them. The person's own names win."""
    from codagent.settings.servers import describe_brought_servers, read_repository_servers

    own = {server.name for server in settings.servers}
    brought = tuple(server for server in read_repository_servers(root) if server.name not in own)
    if not brought or not _allow(describe_brought_servers(root, brought)):
        return settings
    return replace(settings, servers=(*settings.servers, *brought))


def allow_local(root: Path, settings: Settings) -> None:
    """Ask on a terminal, once for each repository, whether commands may run on this machine, if the settings have the local sandbox.

    Without a terminal nobody is asked. Raises UsageError when the answer is no.
    """
    if settings.sandbox != LOCAL or not sys.stdin.isatty():
        return
    from codagent.settings.trust import LocalSandboxUse

    allowed, use = allowed_setups(), LocalSandboxUse(root)
    if allowed.holds(use):
        return
    warn(
        "the local sandbox has no isolation: commands of the agent run on this machine, as you.\n"
        "They can read, change and delete your files, and use your network."
    )
    warn("go on, and remember that for this repository? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was run; `--sandbox python` runs commands in a container")
    allowed.add(use)


def allowed_setups() -> AllowedSetups:
    """Return the set-ups that this user has allowed. On a terminal, the person is asked about any other set-up."""
    from codagent.repository.setups import AllowedSetups, allowed_file

    return AllowedSetups(allowed_file(os.environ), _ask if sys.stdin.isatty() else None)


def ask_about_changes() -> Callable[[Callable[[str], None], Sequence[str]], bool] | None:
    """Return a function that asks the person on the terminal about suspicious changes. Returns None where no person is."""
    return _ask_about_changes if sys.stdin.isatty() else None


def ask_about_calls() -> Callable[[Callable[[str], None], str, Callable[[], None]], CallAnswer] | None:
    """Return a function that asks the person on the terminal about a call of an MCP server's tool. Returns None where no person is."""
    return _ask_about_call if sys.stdin.isatty() else None


def read_answer(text: str) -> CallAnswer:
    """Return what a person has typed about a call. What is no clear yes is a no."""
    word = text.strip().lower()
    return "once" if word in ("y", "yes") else "always" if word in ("a", "always") else "no"


def _ask_about_call(say: Callable[[str], None], line: str, _: Callable[[], None]) -> CallAnswer:
    with _ASKING:
        say(f"the model wants to call {line}")
        say(HOW_TO_ALLOW)
        return read_answer(sys.stdin.readline())


def _ask_about_changes(say: Callable[[str], None], lines: Sequence[str]) -> bool:
    with _ASKING:
        say("all checks pass, but these changes are suspicious:")
        for line in lines[:_LISTED]:
            say(escape_controls(f"  {line}"))
        say("may these files change so, for this command? [y/N]")
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _allow(brought: Brought) -> bool:
    """Return whether the person has allowed what a repository brings. On a terminal the person is asked; else the answer is no."""
    allowed = allowed_setups()
    if allowed.holds(brought):
        return True
    if not sys.stdin.isatty():
        warn(f"this repository brings {brought.kind}, which run on this machine; you never allowed them, so they do not run")
        return False
    warn(f"this repository brings {brought.kind}. These would run on this machine, as you:")
    for line in brought.lines:
        warn(escape_controls(f"  {line}").replace("\n", "\\n"))
    warn("allow them, and remember that? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return False
    allowed.add(brought)
    return True


def _ask(setup: Setup) -> bool:
    warn("\n".join(_describe(setup)))
    warn("allow this, and remember that? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _describe(setup: Setup) -> Iterator[str]:
    """Yield lines that describe a set-up to a person. Everything is shown except the content of the files."""
    yield "this repository sets up an image for its sandbox, once, as root in a container with network:"
    if setup.image:
        yield escape_controls(f"image: {setup.image}")
    if setup.dockerfile is not None:
        yield from _describe_text(setup.recipe, setup.dockerfile)
        yield from _describe_names("files that it can copy", setup.context)
    if setup.script is not None:
        yield from _describe_text("setup", setup.script)
        yield from _describe_names("files that it gets", setup.files)


def _describe_text(name: str, text: str) -> Iterator[str]:
    yield escape_controls(f"{name}:")
    yield from (f"  | {line}" for line in escape_controls(text).split("\n"))


def _describe_names(what: str, files: Files) -> Iterator[str]:
    if files:
        yield f"{what}: {join_names(sorted(files), _LISTED)}"
