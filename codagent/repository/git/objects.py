"""Trees and contents of git objects, a folder for new ones beside a repository's own store, and files moved to another file system.

git writes a file in its object folder and renames it to its final name, so both have to lie on one file system. The temporary folder of a
machine is often on another one than the repository.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.repository.git.command import Git

SUBMODULE = "160000"  # the mode of a submodule


def list_files(root: Path, commit: str) -> tuple[str, ...]:
    """Return the paths of the files in a commit or a tree, sorted by byte. Bytes that are not UTF-8 become surrogates.

    `commit` must be a whole id, because the answer is remembered.
    """
    return _list_entries(root, commit)[0]


def list_submodules(root: Path, commit: str) -> Mapping[str, str]:
    """Return the commits of the submodules in a commit or a tree, by path. Submodules of submodules are not among them.

    `commit` must be a whole id, because the answer is remembered.
    """
    return _list_entries(root, commit)[1]


def read_file(root: Path, commit: str, path: str) -> bytes:
    """Return the content of a file in a commit."""
    return Git(root)("cat-file", "blob", f"{commit}:{path}")


def read_entries(git: Git, commit: str, env: Mapping[str, str] | None = None) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the paths of the files in a commit or a tree, and the commits of its submodules by path."""
    entries = git("ls-tree", "-r", "-z", "--full-tree", commit, env=env).split(b"\0")
    pairs = [entry.partition(b"\t")[::2] for entry in entries if entry]
    submodules = {os.fsdecode(path): facts.split()[2].decode() for facts, path in pairs if facts.startswith(SUBMODULE.encode())}
    return tuple(os.fsdecode(path) for facts, path in pairs if not facts.startswith(SUBMODULE.encode())), submodules


@lru_cache(maxsize=4)  # the start of a loop, which is asked for again and again, and what was made of it; a list may be long
def _list_entries(root: Path, commit: str) -> tuple[tuple[str, ...], Mapping[str, str]]:
    return read_entries(Git(root), commit)


def diff_trees(git: Git, a: str, b: str, *globs: str, env: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the paths that differ between two commits or trees, each after the facts that `git diff-tree` gives of it, without a colon.

    `globs` are pathspecs; none: all paths. A repository may be configured to hide changes of a submodule, which are listed all the same.
    """
    options = ("-r", "-z", "--no-renames", "--ignore-submodules=none")
    fields = split_paths(git("diff-tree", *options, f"{a}^{{tree}}", f"{b}^{{tree}}", "--", *globs, env=env))
    return [(facts.removeprefix(":"), path) for facts, path in zip(fields[::2], fields[1::2], strict=True)]


def split_paths(listing: bytes) -> list[str]:
    """Split a listing of git that ends each path with a zero byte."""
    return [os.fsdecode(path) for path in listing.split(b"\0") if path]


def read_blobs(git: Git, blobs: Iterable[str]) -> dict[str, bytes]:
    """Return the contents of blobs by id, by a single git. Raises RepositoryError when the repository lacks one."""
    wanted = list(dict.fromkeys(blobs))
    data, at = git("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted).encode()) if wanted else b"", 0
    contents = {}
    for blob in wanted:
        header, _, _ = data[at : at + 200].partition(b"\n")
        at += len(header) + 1
        if header.endswith(b" missing"):
            raise RepositoryError(f"{git.root} lacks the file {blob}; `git fetch` gets what a partial clone leaves out")
        contents[blob] = data[at : at + int(header.split()[2])]
        at += len(contents[blob]) + 1
    return contents


@contextmanager
def object_folder(git: Git, parent: Path) -> Iterator[Path]:
    """Make a temporary folder for new objects in `parent`. GIT_OBJECT_DIRECTORY must name it.

    git also finds the repository's objects from there.
    """
    with tempfile.TemporaryDirectory(prefix="tmp_objdir-codagent-", dir=parent) as name:  # a name that git cleans up after a crash
        folder = Path(name)
        (folder / "pack").mkdir()
        borrow_objects(folder, git.path("objects").resolve())
        yield folder


def borrow_objects(folder: Path, *stores: Path) -> None:
    """Let git find what is in the folders of objects `stores`, whatever their names, also from the folder of objects `folder`."""
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info/alternates").write_bytes(b"".join(quote_path(store) + b"\n" for store in stores))


def quote_path(path: Path) -> bytes:
    """Write a path as git reads it from a list with a path on each line."""
    return b'"' + os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def move_file(source: Path, target: Path) -> None:
    """Move a file or a link to `target`, replacing what is there. On another file system a copy is made beside `target` first."""
    try:
        source.replace(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    os.close(descriptor)
    try:
        Path(beside).unlink()  # a link cannot be copied onto a file
        shutil.copy2(source, beside, follow_symlinks=False)
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    source.unlink()
