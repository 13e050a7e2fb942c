"""Commands on the work in the sandbox: see it, take it over, drop it, check it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from codagent.cli.session.commands.slash_command import Command
from codagent.cli.session.view.ink import clean
from codagent.cli.session.view.view import describe_outcome
from codagent.cli.terminal.paint import paint
from codagent.repository import git
from codagent.session.exchange import accept, make_branch, start_over, undo
from codagent.session.parts import choose_parts, quote_word, split_words
from codagent.text import join_names

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat

_LINES = 60  # of a diff that is shown without being asked for
_MARKERS = "--markers"
_WAYS_OUT = {
    _MARKERS: "write both versions into the files, between conflict markers",
    "--branch": "keep the work on a branch, and merge that by hand",
    "--again": "drop the work, and let the agent do the task on your files as they are now",
}
NOTHING = "nothing was changed that is not accepted already"


def _diff(chat: Chat, argument: str) -> None:
    change = _find_change(chat)
    if change is None:
        return
    root, view, words = chat.options.root, chat.view, split_words(argument)
    if paths := [word for word in words if word != "all"]:
        change = change[0], git.select(root, *change, choose_parts(root, change, paths))
    view.print(clean(git.diff(root, *change, stat=True)).rstrip("\n"))
    lines = paint(git.diff(root, *change), color=view.ink.color).split("\n")
    if "all" in words or len(lines) <= _LINES:
        view.print("\n".join(lines))
        return
    view.print("\n".join(lines[:_LINES]))
    view.say(f"… {len(lines) - _LINES} more lines; /diff all shows them, /diff PATH those of a file")


def _apply(chat: Chat, argument: str) -> None:
    change = _find_change(chat)
    if change is None:
        return
    words = split_words(argument)
    flags = [word for word in words if word in _WAYS_OUT]
    paths = [word for word in words if word not in _WAYS_OUT]
    if "--branch" in flags:
        chat.view.say(f"commit your work, then `git merge {make_branch(chat.session)}`")
    elif "--again" in flags:
        start_over(chat.session)
        chat.ask(f"Do this again, on the files as they are now: {chat.session.history.turns[-1].task.instruction}")
    else:
        chosen = choose_parts(chat.options.root, change, paths) if paths else None
        conflicts = accept(chat.session, chosen, markers=bool(flags))
        if conflicts and not flags:
            _offer_ways_out(chat, conflicts, paths)
        else:
            _tell_accepted(chat, conflicts)


def _offer_ways_out(chat: Chat, conflicts: Sequence[str], paths: Sequence[str]) -> None:
    """Say that nothing was applied, and what can be done. Markers go into the `paths` that were to be applied, if such were named."""
    chat.view.error(f"nothing was changed: you and the agent changed the same lines of {join_names(conflicts)}. You can say:")
    for flag, what in _WAYS_OUT.items():
        named = " ".join([flag, *map(quote_word, paths)]) if flag == _MARKERS else flag
        chat.view.say(f"  /apply {named:<10} {what}")


def _tell_accepted(chat: Chat, marked: Sequence[str]) -> None:
    """Say what was applied. `marked` are the paths that have conflict markers now."""
    markers = f", with conflict markers in {join_names(marked)}" if marked else ""
    chat.view.say(f"these changes are in your files now{markers}; /undo takes them back")
    if rest := chat.session.history.change():
        chat.tell_change(*rest)


def _undo(chat: Chat, _: str) -> None:
    chat.session.open()
    undone = undo(chat.session)
    if undone.conflicts:
        chat.view.error(f"nothing was taken back: you have changed the same place since: {join_names(undone.conflicts)}")
        return
    chat.view.say(f"taken back: {join_names(undone.paths) or 'the files are as they were before already'}; the sandbox has the work still")


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
    Command("diff", "show what was changed", _diff, "[PATH…|all]"),
    Command("apply", "take the changes over into your files", _apply, "[PATH[:HUNK,…]…]"),
    Command("undo", "take back what was applied last", _undo),
    Command("discard", "drop the changes that are not accepted", _discard),
    Command("check", "run the checks on the work as it is", _check),
)
