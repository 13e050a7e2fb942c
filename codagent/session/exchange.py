"""What goes between a session's work and the person's files: work that is accepted, and edits that the person made meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from codagent.repository import git
from codagent.session.session import Session
from codagent.text import join_names

_ACCEPTED = "(The person has accepted your changes{parts}. They are in the person's files now.)"
_STARTED_OVER = (
    "(The person has edited the same lines meanwhile. Your changes that were not accepted are dropped, and the files are the person's, as "
    "they are now.)"
)
_UNDONE = "(The person has taken the changes that were accepted last back out of the person's files.)"
_FOLLOWED = "(The person has edited files meanwhile, and you have these edits, too: {paths})"


def accept(session: Session, chosen: Mapping[str, Collection[int] | None] | None = None, *, markers: bool = False) -> tuple[str, ...]:
    """Apply the work that is not accepted so far to the person's files. Returns the paths in conflict.

    If there are any, nothing was changed; with `markers`, these files have both versions between conflict markers. `chosen` has numbers of
    hunks by path, as `git.select` takes them; None: all of it. Raises RepositoryError as `git.apply` does.
    """
    root, change = session.runner.root, session.history.change()
    if change is None:
        return ()
    base, result = change
    wanted = result if chosen is None else git.select(root, base, result, chosen)
    conflicts = git.apply(root, base, wanted, label=session.id, markers=markers)
    if markers or not conflicts:
        accepted = result if chosen is None else git.commit(root, wanted, base, "accepted in part", trailers={})
        parts = "" if chosen is None else f" to {join_names(chosen)}"
        session.act(_ACCEPTED.replace("{parts}", parts), accepted=accepted)
    return conflicts


def start_over(session: Session) -> None:
    """Drop the work that is not accepted so far, and go on from the person's files as they are now."""
    now = git.snapshot(session.runner.root).commit
    session.act(_STARTED_OVER, commit=now, accepted=now)


def make_branch(session: Session) -> str:
    """Let a branch point to the work, and return its name. Raises RepositoryError when it cannot be made."""
    history = session.history
    git.publish(session.runner.root, session.id, history.episodes[-1].position, history.commit, best=history.commit)
    return git.branch_name(session.id)


def undo(session: Session) -> git.Undone:
    """Take back what was applied last. What this session had applied is to be accepted again. Raises RepositoryError as `git.undo`.

    What the person has edited since the last turn is still to be brought into the work afterwards.
    """
    root = session.runner.root
    before = git.snapshot(root).commit
    undone = git.undo(root)
    if undone.label == session.id and not undone.conflicts:
        now, accepted = git.snapshot(root).commit, session.history.accepted
        tree, conflicts = git.merge(root, before, accepted, now)
        session.act(_UNDONE, accepted=now if conflicts else git.commit(root, tree, accepted, "taken back", trailers={}))
    return undone


def follow(session: Session) -> tuple[str, ...]:
    """Bring what the person has edited since the last time into the work. Returns the paths that the agent has changed in the same places;
    then the work stays as it is.
    """
    session.open()
    root, history = session.runner.root, session.history
    base, work = history.accepted, history.commit
    now = git.snapshot(root).commit
    if git.tree_of(root, now) == git.tree_of(root, base):
        return ()
    merged, conflicts = git.merge(root, base, work, now)
    if not conflicts:
        edited = [file.path for file in git.list_changed(root, base, now)]
        commit = git.commit(root, merged, work, "edits of the person", trailers={})
        session.act(_FOLLOWED.replace("{paths}", join_names(edited)), commit=commit, accepted=now)
    return conflicts
