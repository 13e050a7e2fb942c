"""What a work tree holds right now as a commit, made beside the user's index and never through it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.repository.git.command import Git

MAX_UNTRACKED_BYTES = 512 << 20  # a forgotten data set should not be copied into the user's repository
IDENTITY = {
    f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "codagent"), ("EMAIL", "codagent@localhost"))
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`commit` is `head` itself when nothing is uncommitted (`dirty` False); otherwise its child, or parentless before the first commit."""

    root: Path
    head: str | None
    commit: str
    dirty: bool


def snapshot(root: Path) -> Snapshot:
    """HEAD, what is uncommitted and what is untracked and not ignored; `.codagent` and untracked repositories inside stay out."""
    git = Git(root, work_tree=True)
    lines = git("cat-file", "--batch-check=%(objectname)", stdin=b"HEAD^{commit}\nHEAD^{tree}\n").decode().splitlines()
    head, head_tree = (None, None) if lines[0].endswith(" missing") else lines
    with temporary_index(git) as index:
        _refuse_unsupported(git, index)
        git("add", "-A", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=_pathspecs(git, index), env=index)
        tree = git.line("write-tree", "--missing-ok", env=index)
    if git.partial and b"?" in git("rev-list", "--objects", "--no-object-names", "--missing=print", tree):
        raise RepositoryError(
            f"{root} is a partial clone that lacks some of its files; run `git sparse-checkout disable`, or clone it without --filter"
        )
    if head and tree == head_tree:
        return Snapshot(root, head, head, dirty=False)
    parent = ("-p", head) if head else ()
    return Snapshot(root, head, git.line("commit-tree", tree, *parent, stdin=b"uncommitted work\n", env=IDENTITY), dirty=True)


def list_files(root: Path, commit: str) -> tuple[str, ...]:
    """The paths in a commit, sorted by byte; what is not UTF-8 survives as surrogates."""
    return tuple(split_paths(Git(root)("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)))


def read_file(root: Path, commit: str, path: str) -> bytes:
    return Git(root)("cat-file", "blob", f"{commit}:{path}")


@contextmanager
def temporary_index(git: Git) -> Iterator[dict[str, str]]:
    """The environment in which git uses a copy of the user's index."""
    with tempfile.TemporaryDirectory(prefix="codagent-") as folder:
        index = Path(folder, "index")
        if (theirs := git.path("index")).exists():
            shutil.copy2(theirs, index)  # with its time, by which git knows which files it has to look into
        yield {"GIT_INDEX_FILE": str(index)}


def split_paths(listing: bytes) -> list[str]:
    return [os.fsdecode(path) for path in listing.split(b"\0") if path]


def _refuse_unsupported(git: Git, index: dict[str, str]) -> None:
    for entry in git("ls-files", "--stage", "-z", env=index).split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if facts.startswith(b"160000"):
            raise RepositoryError(f"{path} is a submodule, which cannot be worked on; run in the submodule, or in a clone without it")
        if facts and not facts.endswith(b" 0"):
            raise RepositoryError(f"{path} has an unresolved merge conflict; resolve it and `git add` it first")


def _pathspecs(git: Git, index: dict[str, str]) -> bytes:
    """Pathspecs. Only what is there and not ignored is named, since git takes naming an ignored path, even to exclude it, for a mistake."""
    untracked = split_paths(git("ls-files", "--others", "--exclude-standard", "-z", env=index))
    nested = [path for path in untracked if path.endswith("/")]
    ours = {".codagent" for path in untracked if path.startswith(".codagent/")}
    _refuse_too_much(git.root, untracked)
    excluded = [*nested, *ours, *_find_smudged(git, index)]
    return b"\0".join(map(os.fsencode, [":(top)", *(f":(top,exclude,literal){path}" for path in excluded)]))


def _refuse_too_much(root: Path, untracked: list[str]) -> None:
    sizes = {path: (root / path).lstat().st_size for path in untracked}
    if (total := sum(sizes.values())) > MAX_UNTRACKED_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise RepositoryError(f"untracked files hold {total >> 20} MB, {largest} the most; have them ignored by a .gitignore first")


def _find_smudged(git: Git, index: dict[str, str]) -> list[str]:
    """Files that git-lfs has put in place of their pointers: with its program off, they would look changed to git."""
    if not any(key.startswith("filter.lfs.") for key in git.config):
        return []
    changed = git("ls-files", "--modified", "-z", env=index)
    facts = split_paths(git("check-attr", "-z", "--stdin", "filter", stdin=changed, env=index))
    paths = [path for path, driver in zip(facts[::3], facts[2::3], strict=True) if driver == "lfs"]
    return [path for path in paths if _stands_for(git("cat-file", "blob", f":{path}", env=index), git.root / path)]


def _stands_for(pointer: bytes, file: Path) -> bool:
    if not pointer.startswith(b"version https://git-lfs.github.com/spec/") or not file.is_file():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().encode() in pointer
