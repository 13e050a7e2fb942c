"""Commands on the work in the sandbox: see it, take it over, drop it, check it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codagent.cli.session.commands.command import Command
from codagent.cli.session.ink import clean
from codagent.cli.session.view import describe_outcome
from codagent.repository import git
from codagent.session.history import APPLIED, UNDONE

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat

_LINES = 60  # of a diff that is shown without being asked for
NOTHING = "nothing was changed that is not accepted already"


def _diff(chat: Chat, argument: str) -> None:
    change = _find_change(chat)
    if change is None:
        return
    root, view = chat.options.root, chat.view
    view.print(clean(git.diff(root, *change, stat=True)).rstrip("\n"))
    lines = view.ink.patch(git.diff(root, *change))
    if argument != "all" and len(lines) > _LINES:
        view.print("\n".join(lines[:_LINES]))
        view.say(f"… {len(lines) - _LINES} more lines; /diff all shows them")
    else:
        view.print("\n".join(lines))


def _apply(chat: Chat, _: str) -> None:
    change = _find_change(chat)
    if change is None:
        return
    root, session = chat.options.root, chat.session
    conflicts = git.apply(root, *change, label=session.id)
    if conflicts:
        chat.view.error(f"nothing was changed: your file has other changes in the same place: {', '.join(conflicts)}")
        return
    session.act("(The person has accepted your changes. They are in the person's files now.)", task_id=APPLIED)
    chat.view.print(clean(git.diff(root, *change, stat=True)).rstrip("\n"))
    chat.view.say("these changes are in your files now; /undo takes them back")


def _undo(chat: Chat, _: str) -> None:
    undone = git.undo(chat.options.root)
    if undone.conflicts:
        chat.view.error(f"nothing was taken back: you have changed the same place since: {', '.join(undone.conflicts)}")
        return
    chat.view.say(f"taken back: {', '.join(undone.paths) or 'the files are as they were before already'}; the sandbox has the work still")
    if undone.label == chat.session.id:
        chat.session.act("(The person has taken the changes that were accepted last back out of the person's files.)", task_id=UNDONE)


def _discard(chat: Chat, _: str) -> None:
    if _find_change(chat) is None:
        return
    chat.session.discard()
    chat.view.say("the work since the last that was accepted is dropped")


def _check(chat: Chat, _: str) -> None:
    chat.view.work("checking")
    outcome = chat.session.check()
    if outcome is None:
        chat.view.error("there are no checks; name one with --check CMD, or in codagent.toml: checks = ['pytest -q']")
        return
    if not outcome.passed:
        chat.view.print(clean(outcome.feedback))
    chat.view.print(chat.view.ink("green" if outcome.passed else "red", clean(describe_outcome(outcome))))


def _find_change(chat: Chat) -> tuple[str, str] | None:
    change = chat.session.history.change() if chat.session.is_open else None
    if change is None:
        chat.view.say(NOTHING)
    return change


COMMANDS = (
    Command("diff", "show what was changed", _diff, "[all]"),
    Command("apply", "take the changes over into your files", _apply),
    Command("undo", "take back what was applied last", _undo),
    Command("discard", "drop the changes that are not accepted", _discard),
    Command("check", "run the checks on the work as it is", _check),
)
