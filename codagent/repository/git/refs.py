"""Commits, the refs that keep them, and the difference between two of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from codagent.errors import NotPublished, RepositoryError, UsageError
from codagent.redaction import hide_secrets
from codagent.repository.git.command import Git
from codagent.repository.git.snapshot import IDENTITY
from codagent.text import strip_controls


@dataclass(frozen=True, slots=True)
class _Ref:
    commit: str
    is_ours: bool  # whether codagent made the commit
    work_tree: str  # the folder in which the branch is checked out; "": nowhere


def commit(root: Path, tree: str, parent: str | None, message: str, *, trailers: Mapping[str, str], also: str = "") -> str:
    """Make a commit by codagent and return its id. No ref points to it yet.

    `parent` None makes a commit without a parent. `also` is a second parent; "": there is none.
    """
    lines = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in trailers.items())
    text = strip_controls(hide_secrets(f"{message.strip()}\n\n{lines}").replace("\0", ""))  # git prints it on a terminal as it is
    parents = [word for id_ in (parent, also) if id_ for word in ("-p", id_)]
    return Git(root).line("commit-tree", tree, *parents, stdin=f"{text.rstrip()}\n".encode("utf-8", "replace"), env=IDENTITY)


def publish(root: Path, loop_id: str, position: int, commit_id: str, *, best: str) -> None:
    """Keep the commit under its position, and point the loop's branch to `best`.

    If the branch is checked out, it stays as it is. Raises NotPublished when one of the two refs cannot be written, or when somebody else
    has made or moved the branch, which is then left alone.
    """
    git, kept = Git(root), keep_work(root, loop_id, position, commit_id)
    found = f"the work is kept as {kept}, and `codagent diff {loop_id}` shows it"
    refs = _list_refs(git, loop_id)
    branch = refs.pop(_branch_ref(loop_id), None)
    if branch and branch.work_tree:
        return
    if branch and not branch.is_ours and branch.commit not in {ref.commit for ref in refs.values()}:
        raise NotPublished(commit_id, f"the branch {branch_name(loop_id)} has commits that are not codagent's and is left alone; {found}")
    try:
        _update(git, f"update {_branch_ref(loop_id)} {best}\n")
    except RepositoryError as error:
        raise NotPublished(commit_id, f"the branch {branch_name(loop_id)} could not be written ({error}); {found}") from error


def keep_work(root: Path, loop_id: str, position: int, commit_id: str) -> str:
    """Keep the commit under its position, and return the ref. No branch points to it. Raises NotPublished when it cannot be written."""
    kept = f"{_ref_prefix(loop_id)}/{position}"
    try:
        _update(Git(root), f"update {kept} {commit_id}\n")
    except RepositoryError as error:
        found = f"the work is kept as the commit {commit_id}; `git branch NAME {commit_id}` keeps it for good"
        raise NotPublished(commit_id, f"{error}; {found}") from error
    return kept


def keep_start(root: Path, loop_id: str, start_commit: str, begin: str) -> None:
    """Keep what a loop starts from until `unpublish`, so that no clean-up of the repository removes it.

    `begin` is the commit that the first attempt starts from. Raises RepositoryError when a ref cannot be written, or when a branch of the
    user's has the name that the loop's branch needs.
    """
    git = Git(root)
    taken = _branch_ref(loop_id).rpartition("/")[0]
    if git.line("for-each-ref", "--format=%(refname)", taken) == taken:
        name = taken.removeprefix("refs/heads/")
        raise RepositoryError(
            f"the branch {name} is in the way: the work is kept in branches {name}/ID; rename yours with `git branch -m {name} NAME`"
        )
    starts = {"start": start_commit, **({"begin": begin} if begin != start_commit else {})}
    _update(git, "".join(f"update {_ref_prefix(loop_id)}/{name} {kept}\n" for name, kept in starts.items()))


def list_published(root: Path, loop_id: str) -> dict[int, str]:
    """Return the commits of a loop that are kept, by position."""
    kept = {name.rpartition("/")[2]: ref.commit for name, ref in _list_refs(Git(root), loop_id).items() if name != _branch_ref(loop_id)}
    return dict(sorted((int(name), commit_id) for name, commit_id in kept.items() if name.isdecimal()))


def unpublish(root: Path, loop_id: str) -> None:
    """Delete a loop's branch and the refs of its commits. git removes the objects later. RepositoryError when the branch is checked out."""
    git = Git(root)
    refs = _list_refs(git, loop_id)
    if any(ref.work_tree for ref in refs.values()):
        raise RepositoryError(f"the branch codagent/{loop_id} is checked out and is left alone; switch to another branch and try again")
    _update(git, "".join(f"delete {name}\n" for name in refs))


def remove_branch(root: Path, loop_id: str) -> bool:
    """Delete a loop's branch, and return whether it is gone. It is left alone when it is checked out or has commits of somebody else.

    The refs of the loop's commits stay, so that the work can still be shown.
    """
    git = Git(root)
    refs = _list_refs(git, loop_id)
    branch = refs.pop(_branch_ref(loop_id), None)
    if branch and (branch.work_tree or branch.commit not in {ref.commit for ref in refs.values()}):
        return False
    if branch:
        _update(git, f"delete {_branch_ref(loop_id)} {branch.commit}\n")
    return True


def unlock(root: Path, loop_id: str) -> None:
    """Delete the lock files that a killed git left on a loop's refs. The caller must be the only one that works on the loop."""
    git = Git(root)
    for ref in map(git.path, (_ref_prefix(loop_id), _branch_ref(loop_id))):
        for left in (*ref.glob("*.lock"), ref.with_name(f"{ref.name}.lock")):
            left.unlink(missing_ok=True)


def has_branch(root: Path, loop_id: str) -> bool:
    """Whether the loop has its branch. It has none before a change is kept, and after somebody has deleted it."""
    return _branch_ref(loop_id) in _list_refs(Git(root), loop_id)


def find_best(root: Path, loop_id: str) -> str:
    """Return the commit that the loop's branch points to. "": there is no branch."""
    branch = _list_refs(Git(root), loop_id).get(_branch_ref(loop_id))
    return branch.commit if branch else ""


def branch_name(loop_id: str) -> str:
    """Return the name of the branch that points to a loop's best commit."""
    return _branch_ref(loop_id).removeprefix("refs/heads/")


@lru_cache(maxsize=1024)
def tree_of(root: Path, commit_id: str) -> str:
    """Return the tree of a commit. `commit_id` must be a whole id, because the answer is remembered."""
    return Git(root).line("rev-parse", f"{commit_id}^{{tree}}")


def diff(root: Path, a: str, b: str, *, stat: bool = False, binary: bool = False) -> str:
    """Return the change from `a` to `b` as a patch. Bytes that are not UTF-8 become surrogates.

    `stat` returns a summary instead. `binary` returns a patch that can also be applied to binary files.
    """
    form = "--stat" if stat else "--binary" if binary else "--patch"
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=none", "--src-prefix=a/", "--dst-prefix=b/")
    return os.fsdecode(Git(root)("diff", *plain, form, a, b, "--"))


def _ref_prefix(loop_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", loop_id):
        raise UsageError(f"{loop_id!r} is not the id of a session, run or loop; `codagent list` shows them")
    return f"refs/codagent/{loop_id}"


def _branch_ref(loop_id: str) -> str:
    return f"refs/heads/codagent/{_ref_prefix(loop_id).rpartition('/')[2]}"


def _list_refs(git: Git, loop_id: str) -> dict[str, _Ref]:
    """Return the loop's branch and the refs of its commits, by their whole names."""
    fields = ("refname", "objectname", "committeremail", "worktreepath")
    form = "".join(f"%({field})%00" for field in fields)  # a path may have any other character
    parts = git.line("for-each-ref", f"--format={form}", f"{_ref_prefix(loop_id)}/", _branch_ref(loop_id)).split("\0")
    ours = f"<{IDENTITY['GIT_COMMITTER_EMAIL']}>"
    return {name.strip(): _Ref(found, email == ours, tree) for name, found, email, tree in zip(*[iter(parts)] * len(fields), strict=False)}


def _update(git: Git, commands: str) -> None:
    git("update-ref", "--stdin", stdin=commands.encode())
