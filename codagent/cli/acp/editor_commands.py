"""The commands that an editor offers in a session. They begin with a slash, and none of them reaches the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codagent.errors import UsageError
from codagent.session.exchange import accept, undo
from codagent.session.parts import choose_parts, split_words
from codagent.session.session import Session
from codagent.text import join_names


@dataclass(frozen=True, slots=True)
class EditorCommand:
    """A command: `run` gets the session and what follows the name, and returns what the person is told."""

    what: str  # in a few words
    run: Callable[[Session, str], str]
    hint: str = ""  # of what follows the name; "": nothing does


def run_line(session: Session, line: str) -> str:
    """Carry out a line that begins with a slash, and return what the person is told."""
    name, _, rest = line.removeprefix("/").partition(" ")
    if name not in COMMANDS:
        return f"There is no command /{name}. There are " + ", ".join(f"/{known}" for known in COMMANDS) + "."
    if rest.strip() and not COMMANDS[name].hint:
        return f"/{name} takes nothing after it, so nothing was done."
    session.open()
    try:
        return COMMANDS[name].run(session, rest.strip())
    except UsageError as error:
        return f"Nothing was done: {error}."


def accept_work(session: Session, wanted: str = "") -> str:
    """Apply the work that is not accepted so far to the person's files, and say how that went. `wanted` names its parts; "": all of it.

    Raises UsageError for a part that is not there.
    """
    change = session.history.change()
    if change is None:
        return "Nothing was changed that is not accepted already."
    parts = choose_parts(session.runner.root, change, split_words(wanted)) if wanted else None
    if conflicts := accept(session, parts):
        return f"Nothing was applied: you and the agent changed the same lines of {join_names(conflicts)}."
    rest = " The rest is not accepted so far." if session.history.change() else ""
    return f"The changes are in your files now; /undo takes them back.{rest}"


def _undo(session: Session, _: str) -> str:
    undone = undo(session)
    if undone.conflicts:
        return f"Nothing was taken back: you have changed the same place since: {join_names(undone.conflicts)}."
    return f"Taken back: {join_names(undone.paths) or 'the files are as they were before already'}. The sandbox has the work still."


def _discard(session: Session, _: str) -> str:
    session.discard()
    return "The work since the last that was accepted is dropped."


def _check(session: Session, _: str) -> str:
    outcome = session.check()
    if outcome is None:
        return "There are no checks; `--check CMD` names one, or codagent.toml: checks = ['pytest -q']."
    return "All checks pass." if outcome.passed else f"The checks do not pass:\n\n```\n{outcome.feedback}\n```"


def _compact(session: Session, wish: str) -> str:
    return session.compact(wish) or "There is nothing to sum up so far."


def _clear(session: Session, _: str) -> str:
    session.clear()
    return "The conversation is forgotten; the work stays."


COMMANDS = {
    "apply": EditorCommand("take the changes over into your files", accept_work, "[PATH[:HUNK,…]…]"),
    "undo": EditorCommand("take back what was applied last", _undo),
    "discard": EditorCommand("drop the changes that are not accepted", _discard),
    "check": EditorCommand("run the checks on the work as it is", _check),
    "compact": EditorCommand("sum up the conversation", _compact, "wish"),
    "clear": EditorCommand("forget the conversation, keep the work", _clear),
}
