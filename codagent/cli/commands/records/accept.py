"""`codagent apply` and `codagent undo`: a change comes to the working tree, as a whole or in part, and is taken back."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from codagent.cli import options, user_files
from codagent.cli.commands.records.pick import ask, pick
from codagent.cli.commands.records.stored import StoredLoop, load_stored
from codagent.cli.terminal.output import say
from codagent.errors import RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.spec import is_sealed, spec_of
from codagent.text import join_names

_ALL, _CHOOSE, _NOTHING = "y", "c", "n"
_HOW = """\
y  apply all of it
c  choose files and hunks
n  apply nothing"""
_CONFLICT = """\
m  write both versions into the files, between conflict markers
b  keep the work on its branch, and merge that by hand
r  run the task again, on the files as they are now
n  do nothing"""


class ApplyCommand(TyperCommand):
    """A command that takes paths after `--`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Keep the paths apart from the other arguments."""
        before, _, ctx.meta["paths"] = _split(args)
        return super().parse_args(ctx, before)

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Show the paths in the usage line, too."""
        return [*super().collect_usage_pieces(ctx), "[-- PATH...]"]


def apply(
    context: typer.Context,
    loop_id: options.RecordId = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without a question.")] = False,
    markers: Annotated[bool, typer.Option("--markers", help="Write conflict markers where both sides changed the same lines.")] = False,
) -> None:
    """Apply a change to the working tree, or only its files PATH.

    The change is merged with yours. On a terminal you can choose files and hunks. `codagent undo` takes it back.
    """
    if loop_id and (repo / loop_id).exists():
        raise UsageError(f"{loop_id} is a file here, and no id; `codagent apply -- {shlex.quote(loop_id)}` takes only this file")
    stored = load_stored(repo, record, loop_id)
    base, result = stored.change()
    changed = git.list_changed(stored.root, base, result)
    chosen = _match(changed, stored.root, repo, context.meta["paths"])
    wanted = _select(stored, chosen, len(changed))
    if git.is_applied(stored.root, base, wanted):
        say(f"already there: the working tree has {'this change' if wanted == result else 'these files of the change'}")
        return
    say(git.diff(stored.root, base, wanted, stat=True), end="")
    if sys.stdin.isatty() and not (yes or markers):
        answer = ask("apply it?", _ALL + _CHOOSE + _NOTHING, _HOW)
        if answer == _CHOOSE:
            chosen = pick([file for file in changed if file.path in chosen])
            wanted = _select(stored, chosen, len(changed))
        if answer == _NOTHING or not chosen:
            say("nothing was applied")
            return
    conflicts = git.apply(stored.root, base, wanted, label=stored.loop.id, markers=markers)
    if conflicts and not markers:
        _settle(stored, wanted, conflicts, repo, record)
        return
    _tell(stored, conflicts, whole=wanted == result)


def undo(*, repo: options.Repo = Path()) -> None:
    """Take back the change that was applied last. What you did since to other lines stays."""
    root = git.find_root(repo)
    undone = git.undo(root)
    if undone.conflicts:
        how = f"; `codagent diff {undone.label}` shows the change" if undone.label else ""
        raise RepositoryError(f"nothing was taken back: {join_names(undone.conflicts)} changed since in the same place{how}")
    again = f"; `codagent apply {undone.label}` applies it again" if undone.label else ""
    say(f"taken back: {join_names(undone.paths)}{again}" if undone.paths else "the files are as they were before the change already")


def _split(args: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    at = args.index("--") if "--" in args else len(args)
    return list(args[:at]), at < len(args), list(args[at + 1 :])


def _match(changed: Sequence[git.ChangedFile], root: Path, repo: Path, paths: Sequence[str]) -> dict[str, Collection[int] | None]:
    """Return the changed files that paths name, as seen from `repo` or from the top. Raises RepositoryError for a path that names none."""
    if not paths:
        return {file.path: None for file in changed}
    chosen: dict[str, Collection[int] | None] = {}
    here = os.path.relpath(repo.resolve(), root)
    for path in paths:
        names = [os.path.normpath(os.path.join(here, path)), os.path.normpath(path)]  # noqa: PTH118 - the paths need not exist
        found = next((files for name in names if (files := [file for file in changed if _is_in(file.path, name)])), None)
        if not found:
            raise RepositoryError(f"{path} is not in the change, which has {', '.join(file.path for file in changed[:20])}")
        chosen |= {file.path: None for file in found}
    return chosen


def _is_in(path: str, folder: str) -> bool:
    return folder == "." or PurePosixPath(path).is_relative_to(folder)


def _select(stored: StoredLoop, chosen: dict[str, Collection[int] | None], count: int) -> str:
    """Return the commit or the tree with the chosen parts of a loop's change, which has `count` files."""
    base, result = stored.change()
    if len(chosen) == count and all(numbers is None for numbers in chosen.values()):
        return result
    return git.select(stored.root, base, result, chosen)


def _settle(stored: StoredLoop, wanted: str, conflicts: Sequence[str], repo: Path, record: Path | None) -> None:
    """Ask what to do about a conflict. Without a terminal, raise RepositoryError with the ways out."""
    loop_id, names = stored.loop.id, ", ".join(conflicts)
    task = stored.loop.attempts[-1].task
    branch = git.branch_name(loop_id)
    if not sys.stdin.isatty():
        again = shlex.join(["codagent", "run", task.instruction, *(word for check in task.checks for word in ("--check", check))])
        raise RepositoryError(
            f"nothing was changed: you and codagent changed the same lines of {names}; `codagent apply {loop_id} --markers` writes both "
            f"versions, `git merge {branch}` merges by hand, and `{again}` does the task on your files as they are now"
        )
    say(f"nothing was changed: you and codagent changed the same lines of {names}")
    answer = ask("what now?", "mbrn", _CONFLICT)
    if answer == "m":
        conflicts = git.apply(stored.root, stored.change()[0], wanted, label=loop_id, markers=True)
        _tell(stored, conflicts, whole=wanted == stored.change()[1])
    elif answer == "b":
        say(f"commit your work, then `git merge {branch}`")
    elif answer == "r":
        from codagent.cli.commands.run import run_task

        run_task(repo, task.instruction, _find_flags(stored), record=record)


def _find_flags(stored: StoredLoop) -> dict[str, Any]:
    """Return the options by which a task is run as its record was, unless the person's own settings say otherwise.

    A record that was not made here chooses its checks only, and what these see as it was.
    """
    settings, asked = spec_of(stored.loop)[1], options.read_user_settings().asked
    flags: dict[str, Any] = {"checks": list(stored.loop.attempts[-1].task.checks), "protect": list(settings.protect)}
    if is_sealed(stored.loop, user_files.secret()):
        made_with = {"model": settings.model, "sandbox": settings.sandbox, "allow": list(settings.allow)}
        flags |= {key: value for key, value in made_with.items() if key not in asked}
    return flags


def _tell(stored: StoredLoop, conflicts: Sequence[str], *, whole: bool) -> None:
    """Say what was applied. The branch of a change that was applied as a whole is removed; one with markers is not whole yet."""
    back = "`codagent undo` takes it back"
    if conflicts:
        say(f"applied, with conflict markers in {join_names(conflicts)}; {back}")
        return
    had_branch = whole and git.has_branch(stored.root, stored.loop.id)
    removed = had_branch and git.remove_branch(stored.root, stored.loop.id)
    say(f"applied{f', and the branch {git.branch_name(stored.loop.id)} is removed' if removed else ''}; {back}")
