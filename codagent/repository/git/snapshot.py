"""The present content of a work tree as a commit. It is made with a copy of the user's index, which stays as it is."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.files import is_plain, temporary_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import split_paths
from codagent.repository.git.submodules import is_folder_inside

MAX_UNTRACKED_BYTES = 512 << 20  # a data set that nobody ignored should not be copied into the user's repository
_ATTEMPTS = 20
_VANISHED = re.compile(
    r"unable to stat|No such file or directory|Not a directory|unable to index file|adding files failed|did not match any"
)
IDENTITY = {
    f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "codagent"), ("EMAIL", "codagent@localhost"))
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a work tree.

    `commit` is `head` itself when nothing is uncommitted (`dirty` False). Otherwise it is a child of `head`; without any commit (`head`
    None) it has no parent. `nested` names the untracked repositories inside. `filtered` names the files that are under a filter and whose
    local state is not in `commit`.
    """

    root: Path
    head: str | None
    commit: str
    dirty: bool
    nested: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()


def snapshot(root: Path) -> Snapshot:
    """Make a commit of HEAD, the uncommitted changes, and the untracked files that are not ignored.

    `.codagent` and untracked repositories inside are left out. A file under a filter that is not run has the content that the index has of
    it, and is not there when the index lacks it. A file that is removed while the snapshot is made is not there.

    A submodule stays one, and has the commit that is checked out in it. Raises RepositoryError for what codagent cannot work on: unresolved
    conflicts, too many untracked bytes, an incomplete partial clone.
    """
    git = Git(root, work_tree=True)
    lines = git("cat-file", "--batch-check=%(objectname)", stdin=b"HEAD^{commit}\nHEAD^{tree}\n").decode().splitlines()
    head, head_tree = (None, None) if lines[0].endswith(" missing") else lines
    with temporary_index(git) as index:
        submodules = _list_submodules(git, index)
        untracked, filtered = _add_all(git, index, submodules)
        tree = git.line("write-tree", "--missing-ok", env=index)
    if git.partial and b"?" in git("rev-list", "--objects", "--no-object-names", "--missing=print", tree):
        raise RepositoryError(
            f"{root} is a partial clone that lacks some of its files; run `git sparse-checkout disable`, or clone it without --filter"
        )
    nested = _find_nested(untracked)
    if head and tree == head_tree:
        return Snapshot(root, head, head, dirty=False, nested=nested, filtered=filtered)
    parent = ("-p", head) if head else ()
    made = git.line("commit-tree", tree, *parent, stdin=b"uncommitted work\n", env=IDENTITY)
    return Snapshot(root, head, made, dirty=True, nested=nested, filtered=filtered)


def list_tracked(root: Path) -> tuple[str, ...]:
    """Return the paths that git tracks now, whatever the work tree holds of them."""
    return tuple(split_paths(Git(root)("ls-files", "-z")))


@contextmanager
def temporary_index(git: Git) -> Iterator[dict[str, str]]:
    """Copy the user's index. Yields the environment variables that make git use the copy."""
    with temporary_folder() as folder:
        index = folder / "index"
        if (theirs := git.path("index")).is_file():
            shutil.copy2(theirs, index)  # with its time, from which git knows which files it must read
        yield {"GIT_INDEX_FILE": str(index)}


def _list_submodules(git: Git, index: dict[str, str]) -> list[str]:
    """Return the submodules of the index that have a folder. Raises RepositoryError for a file with an unresolved conflict."""
    submodules = []
    for entry in git("ls-files", "--stage", "-z", env=index).split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if facts.startswith(b"160000"):
            submodules.append(path)
        if facts and not facts.endswith(b" 0"):
            raise RepositoryError(f"{path} has an unresolved merge conflict; resolve it and `git add` it first")
    return [path for path in submodules if is_folder_inside(git.root, path)]


def _add_all(git: Git, index: dict[str, str], submodules: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Add the work tree to the index. Returns the untracked paths, and the files under a filter whose local state was left out.

    git ends with an error when a file vanishes between its listing and its reading. It is then listed again. `git add` runs the filters of
    a submodule, so `git update-index` takes what is checked out there.
    """
    for attempt in range(_ATTEMPTS):
        untracked = split_paths(git("ls-files", "--others", "--exclude-standard", "-z", env=index))
        pathspecs, filtered = _pathspecs(git, index, untracked, submodules)
        try:
            git("add", "-A", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=pathspecs, env=index)
            break
        except RepositoryError as error:
            if attempt == _ATTEMPTS - 1 or not _VANISHED.search(str(error)):
                raise
    if submodules:
        git("update-index", "-z", "--stdin", stdin=b"\0".join(map(os.fsencode, submodules)), env=index)
    return untracked, filtered


def _find_nested(untracked: list[str]) -> tuple[str, ...]:
    """Return the repositories among untracked paths: git does not look into these, and ends their names with a slash."""
    return tuple(path.rstrip("/") for path in untracked if path.endswith("/"))


def _pathspecs(git: Git, index: dict[str, str], untracked: list[str], submodules: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Return the pathspecs for `git add`, and the files under a filter whose local state they leave out.

    They name only what exists and is not ignored. git refuses a pathspec that names an ignored path, even one that excludes it.
    """
    nested = [f"{path}/" for path in _find_nested(untracked)]
    ours = {".codagent" for path in untracked if path.startswith(".codagent/")}
    _refuse_too_much(git.root, untracked)
    files = [path for path in untracked if not path.endswith("/") and not path.startswith(".codagent/")]
    filtered, left_out = _find_unfiltered(git, index, files, submodules)
    excluded = [*nested, *ours, *submodules, *_find_smudged(git, index), *filtered]
    return b"\0".join(map(os.fsencode, [":(top)", *(f":(top,exclude,literal){path}" for path in excluded)])), left_out


def find_filtered(git: Git, paths: Sequence[str], index: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the paths that are under a filter that is not run, each with the filter's name.

    The filter of git-lfs is not among them: what it stands for is known without it.
    """
    drivers = _find_drivers(git)
    if not drivers or not paths:
        return {}
    listing = b"".join(os.fsencode(path) + b"\0" for path in paths)
    fields = git("check-attr", "-z", "--stdin", "filter", stdin=listing, env=index).split(b"\0")
    pairs = zip(fields[:-1:3], fields[2::3], strict=True)
    return {os.fsdecode(path): os.fsdecode(driver) for path, driver in pairs if os.fsdecode(driver) in drivers}


def _find_drivers(git: Git) -> set[str]:
    """Return the names of the filters that the configuration has a command for, but for git-lfs."""
    parts = [(key.split(".", 1)[1].rpartition("."), value) for key, value in git.config.items() if key.startswith("filter.")]
    return {driver for (driver, _, name), value in parts if name in ("clean", "smudge", "process") and value} - {"lfs"}


def _find_unfiltered(git: Git, index: dict[str, str], untracked: list[str], submodules: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the existing files under a filter that is not run, and those of them that are untracked or seem to be changed."""
    if not _find_drivers(git):
        return [], ()
    tracked = sorted({*split_paths(git("ls-files", "-z", env=index))} - {*submodules})
    filtered = [path for path in find_filtered(git, [*tracked, *untracked], index) if os.path.lexists(git.root / path)]
    if not filtered:
        return [], ()
    changed = {*untracked, *split_paths(git("ls-files", "--modified", "-z", env=index))}
    return filtered, tuple(path for path in filtered if path in changed)


def _refuse_too_much(root: Path, untracked: list[str]) -> None:
    sizes = {path: _size(root / path) for path in untracked}
    if (total := sum(sizes.values())) > MAX_UNTRACKED_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise RepositoryError(f"untracked files hold {total >> 20} MB, {largest} the most; have them ignored by a .gitignore first")


def _size(file: Path) -> int:
    """Return the size of a file in bytes. 0: it is gone."""
    try:
        return file.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _find_smudged(git: Git, index: dict[str, str]) -> list[str]:
    """Return the files that git-lfs put in the place of their pointers.

    git-lfs is switched off here, so git takes these files for changed.
    """
    if not any(key.startswith("filter.lfs.") for key in git.config):
        return []
    changed = git("ls-files", "--modified", "-z", env=index)
    facts = split_paths(git("check-attr", "-z", "--stdin", "filter", stdin=changed, env=index))
    paths = [path for path, driver in zip(facts[::3], facts[2::3], strict=True) if driver == "lfs" and is_plain(git.root / path)]
    return [path for path in paths if _stands_for(git("cat-file", "blob", f":{path}", env=index), git.root / path)]


def _stands_for(pointer: bytes, file: Path) -> bool:
    """Whether `file` has the content that a pointer of git-lfs names."""
    if not pointer.startswith(b"version https://git-lfs.github.com/spec/") or not file.is_file():
        return False
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest().encode() in pointer
    except FileNotFoundError:
        return False
