"""The contents of git objects, a folder for new ones beside a repository's own store, and files moved where a rename may be impossible.

git writes a file in its object folder and renames it to its final name, so both have to lie on one file system. The temporary folder of a
machine is often on another one than the repository.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.repository.git.command import Git


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


def borrow_objects(folder: Path, objects: Path) -> None:
    """Let git find what is in the folder `objects`, whatever its name, also from the folder of objects `folder`."""
    quoted = os.fsencode(objects).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info/alternates").write_bytes(b'"%s"\n' % quoted)


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
