"""What a repository sets up for its sandbox.

It is read once and completely, so that a person is shown, the list of allowed set-ups names, and the engine builds the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codagent.errors import UsageError

if TYPE_CHECKING:
    from codagent.sandbox.definition import Definition

MAX_BYTES = 64 << 20  # of all files together
_MAX_TEXT = 1 << 20  # bytes of a Dockerfile or a .dockerignore
_PRIVATE = (".git", ".codagent")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a build."""

    data: bytes  # of a link: the path that it leads to
    executable: bool = False
    link: bool = False


Files = Mapping[str, File]  # name in the build context -> the file


@dataclass(frozen=True, slots=True)
class Setup:
    """What an image is made from: another image, then a Dockerfile, then a script. Each of them is optional."""

    image: str = ""  # that everything is based on; "": a shipped one
    recipe: str = ""  # the path of the Dockerfile
    dockerfile: str | None = None  # its text
    context: Files = field(default_factory=dict)  # that it can copy from
    script: str | None = None
    files: Files = field(default_factory=dict)  # in the folder in which the script starts

    @property
    def digest(self) -> str:
        """A hash of the content. It is the same wherever the repository is."""
        content = [self.image, self.dockerfile, list(_identify(self.context)), self.script, list(_identify(self.files))]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_setup(wanted: Definition, root: Path, tracked: Collection[str]) -> Setup | None:
    """Return what the repository at `root` sets up for a sandbox, or None when it sets up nothing.

    `tracked` are the paths that git tracks there, relative to `root`. Raises UsageError for a file that git does not track, that is under
    .git or .codagent, that leads out of the repository, or that is too large.
    """
    if wanted.dockerfile is None and wanted.setup is None:
        return None
    tree, dockerfile = _Tree(root.resolve(), frozenset(tracked)), wanted.dockerfile and os.path.normpath(wanted.dockerfile)
    image = "" if wanted.image.startswith("codagent/") else wanted.image
    files = {name: tree.read_file(name) for name in map(os.path.normpath, wanted.files)} if wanted.setup is not None else {}
    if dockerfile is None:
        return Setup(image, script=wanted.setup, files=files)
    text = tree.read_text(dockerfile)
    copies = re.search(r"^\s*(COPY|ADD)\s", text, re.MULTILINE | re.IGNORECASE)
    context = dict(_read_context(tree, dockerfile)) if copies else {}
    return Setup(image, dockerfile, text, context, wanted.setup, files)


class _Tree:
    """The files that git tracks, and how many bytes may still be read."""

    def __init__(self, root: Path, tracked: frozenset[str]) -> None:
        self.root, self.tracked = root, tracked
        self._room = MAX_BYTES

    def read_file(self, name: str) -> File:
        """Read a file that the settings name. For a link, read the file that it leads to."""
        inside = self._resolve(name)
        if name not in self.tracked:
            exists = (self.root / name).is_file()
            raise _refusal(f"git does not track {name!r}; `git add` it, or leave it out" if exists else f"there is no file {name!r}")
        if inside not in self.tracked:
            raise _refusal(f"{name!r} leads to {inside!r}, which git does not track")
        file = self._read(inside)
        if file is None:
            raise _refusal(f"there is no file {name!r} in the repository")
        return file

    def read_text(self, name: str) -> str:
        """Read a text file that the settings name, a Dockerfile or a .dockerignore."""
        data = self.read_file(name).data
        if len(data) > _MAX_TEXT:
            raise _refusal(f"{name!r} has more than {_MAX_TEXT >> 20} MB")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _refusal(f"{name!r} is not text in UTF-8") from None

    def read_entry(self, name: str) -> File | None:
        """Read a file of a context. A link stays a link, but may not lead out of the repository. None: it is neither a file nor a link."""
        inside = self._resolve(name)
        path = self.root / name
        if path.is_symlink():
            return File(os.fsencode(path.readlink()), link=True)
        return self._read(inside)

    def _resolve(self, name: str) -> str:
        """Return the path that a name leads to when links are followed, relative to the root."""
        try:
            real = (self.root / name).resolve().relative_to(self.root)
        except (ValueError, OSError, RuntimeError):  # not below it, a name too long, links in a circle
            raise _refusal(f"{name!r} leads out of the repository") from None
        if any(part.casefold() in _PRIVATE for part in (*Path(name).parts, *real.parts)):
            raise _refusal(f"{name!r} leads into {' or '.join(_PRIVATE)}, of which a set-up may have nothing")
        return str(real)

    def _read(self, inside: str) -> File | None:
        """Read a regular file. None: it is missing, or no regular file."""
        try:
            descriptor = os.open(self.root / inside, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(self._room + 1)
        self._room -= len(data)
        if self._room < 0:
            raise _refusal(f"its files have more than {MAX_BYTES >> 20} MB together, at {inside!r}; leave some out, as by a .dockerignore")
        return File(data, executable=bool(mode & 0o100))


def _read_context(tree: _Tree, dockerfile: str) -> Iterator[tuple[str, File]]:
    """Yield the tracked files of the Dockerfile's folder by their names in it, without those that a tracked .dockerignore excludes."""
    from docker.utils import exclude_paths

    folder = os.path.dirname(dockerfile)  # noqa: PTH120 - a name in git, compared as text
    below = f"{folder}/" if folder else ""
    ignore = f"{below}.dockerignore"
    lines = tree.read_text(ignore).split("\n") if ignore in tree.tracked else []
    patterns = [line for line in lines if line and not line.startswith("#")]
    for name in sorted(exclude_paths(str(tree.root / folder), [*patterns, ".git", ".codagent"])):
        if below + name in tree.tracked and (file := tree.read_entry(below + name)) is not None:
            yield name, file


def _identify(files: Files) -> Iterator[tuple[str, bool, bool, str]]:
    """Yield for each file what identifies it: its name, its kind and a hash of its content."""
    for name, file in sorted(files.items()):
        yield name, file.executable, file.link, hashlib.sha256(file.data).hexdigest()


def _refusal(why: str) -> UsageError:
    return UsageError(f"[sandbox] of this repository: {why}")
