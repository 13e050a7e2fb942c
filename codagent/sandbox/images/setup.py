"""What a repository sets up, read once and whole: what a person is shown, what is remembered and what is built are the same bytes."""

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
    """A file as it goes into a build; `link`: `data` is where it leads to."""

    data: bytes
    executable: bool = False
    link: bool = False


Files = Mapping[str, File]  # name in the build context -> the file


@dataclass(frozen=True, slots=True)
class Setup:
    """A Dockerfile's text and its context, and a script with the files that it gets; None where there is no such part. `image`, which all
    stands on, is "" for one of ours, and `recipe` names the Dockerfile."""

    image: str = ""
    recipe: str = ""
    dockerfile: str | None = None
    context: Files = field(default_factory=dict)
    script: str | None = None
    files: Files = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The same for the same content, wherever the repository lies."""
        content = [self.image, self.dockerfile, list(_facts(self.context)), self.script, list(_facts(self.files))]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_setup(wanted: Definition, root: Path, tracked: Collection[str]) -> Setup | None:
    """What the repository at `root` sets up for a sandbox; None: nothing. `tracked` are the paths that git knows there, relative to it.

    UsageError names a file that git does not track, that is under .git or .codagent, leads out of the repository, or is too large.
    """
    if wanted.dockerfile is None and wanted.setup is None:
        return None
    tree, dockerfile = _Tree(root.resolve(), frozenset(tracked)), wanted.dockerfile and os.path.normpath(wanted.dockerfile)
    image = "" if wanted.image.startswith("codagent/") else wanted.image
    files = {name: tree.named(name) for name in map(os.path.normpath, wanted.files)} if wanted.setup is not None else {}
    if dockerfile is None:
        return Setup(image, script=wanted.setup, files=files)
    text = tree.text(dockerfile)
    copies = re.search(r"^\s*(COPY|ADD)\s", text, re.MULTILINE | re.IGNORECASE)
    context = dict(_context(tree, dockerfile)) if copies else {}
    return Setup(image, dockerfile, text, context, wanted.setup, files)


class _Tree:
    """The files that git tracks, and how many bytes may still be read."""

    def __init__(self, root: Path, tracked: frozenset[str]) -> None:
        self.root, self.tracked = root, tracked
        self._room = MAX_BYTES

    def named(self, name: str) -> File:
        """A file that the settings name; a link gives what it leads to."""
        inside = self._inside(name)
        if name not in self.tracked:
            there = (self.root / name).is_file()
            raise _refusal(f"git does not track {name!r}; `git add` it, or leave it out" if there else f"there is no file {name!r}")
        if inside not in self.tracked:
            raise _refusal(f"{name!r} leads to {inside!r}, which git does not track")
        found = self._content(inside)
        if found is None:
            raise _refusal(f"there is no file {name!r} in the repository")
        return found

    def text(self, name: str) -> str:
        data = self.named(name).data
        if len(data) > _MAX_TEXT:
            raise _refusal(f"{name!r} has more than {_MAX_TEXT >> 20} MB")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _refusal(f"{name!r} is not text in UTF-8") from None

    def as_it_is(self, name: str) -> File | None:
        """A file of a context: a link stays one, but may not lead out. None for what is not there, and what is neither."""
        inside = self._inside(name)
        path = self.root / name
        if path.is_symlink():
            return File(os.fsencode(path.readlink()), link=True)
        return self._content(inside)

    def _inside(self, name: str) -> str:
        """Where a name leads to, links on the way considered, from the root on."""
        try:
            real = (self.root / name).resolve().relative_to(self.root)
        except (ValueError, OSError, RuntimeError):  # not below it, a name too long, links in a circle
            raise _refusal(f"{name!r} leads out of the repository") from None
        if any(part.casefold() in _PRIVATE for part in (*Path(name).parts, *real.parts)):
            raise _refusal(f"{name!r} leads into {' or '.join(_PRIVATE)}, of which a set-up may have nothing")
        return str(real)

    def _content(self, inside: str) -> File | None:
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


def _context(tree: _Tree, dockerfile: str) -> Iterator[tuple[str, File]]:
    """What git tracks of the folder that a Dockerfile lies in, without what a tracked .dockerignore names."""
    from docker.utils import exclude_paths

    folder = os.path.dirname(dockerfile)  # noqa: PTH120 - a name in git, compared as text
    below = f"{folder}/" if folder else ""
    ignore = f"{below}.dockerignore"
    lines = tree.text(ignore).split("\n") if ignore in tree.tracked else []
    patterns = [line for line in lines if line and not line.startswith("#")]
    for name in sorted(exclude_paths(str(tree.root / folder), [*patterns, ".git", ".codagent"])):
        if below + name in tree.tracked and (file := tree.as_it_is(below + name)) is not None:
            yield name, file


def _facts(files: Files) -> Iterator[tuple[str, bool, bool, str]]:
    for name, file in sorted(files.items()):
        yield name, file.executable, file.link, hashlib.sha256(file.data).hexdigest()


def _refusal(why: str) -> UsageError:
    return UsageError(f"[sandbox] of this repository: {why}")
