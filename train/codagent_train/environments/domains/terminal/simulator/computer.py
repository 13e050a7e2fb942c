"""A computer in memory: its folders and files, and how its system writes paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

System = Literal["windows", "macos", "linux"]
Form = Literal["plain", "tar", "zip", "gzip"]
Path = tuple[str, ...]  # the parts below the root; on Windows the first of them is the drive

_HOMES: Mapping[System, Path] = {"windows": ("C:", "Users"), "macos": ("Users",), "linux": ("home",)}
_DRIVE = re.compile(r"[A-Za-z]:(?=/|$)")


class ShellError(Exception):
    """A command failed; the text is what the terminal shows."""


@dataclass(frozen=True, slots=True)
class File:
    """A file. An archive has `entries`: the contents by the path in the archive."""

    content: str
    mode: str = "644"
    form: Form = "plain"
    entries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; what is in it follows from the paths of the others."""

    mode: str = "755"


Node = File | Folder


class Computer:
    """A file system with one user, and the folder in which that user stands."""

    def __init__(self, system: System, user: str, host: str) -> None:
        self.system, self.user, self.host = system, user, host
        self.home: Path = (*_HOMES[system], user)
        self.cwd = self.home
        self._nodes: dict[Path, Node] = {(): Folder()}
        self.make_folders(self.home)

    @property
    def is_windows(self) -> bool:
        return self.system == "windows"

    def read_path(self, word: str, *, start: Path | None = None, home: bool = True) -> Path:
        """Return the path that a word names, from the folder `start` on (None: where the user stands). `home`: whether `~` is the home."""
        text = word.replace("\\", "/") if self.is_windows else word
        parts = list(self.cwd if start is None else start)
        if home and (text == "~" or text.startswith("~/")):
            parts, text = list(self.home), text[2:]
        elif text.startswith("/"):
            parts = ["C:"] if self.is_windows else []
        elif self.is_windows and _DRIVE.match(text):
            parts, text = [text[0].upper() + ":"], text[2:]
        for part in text.split("/"):
            if part == "..":
                parts = parts[: max(len(parts) - 1, int(self.is_windows))]
            elif part not in ("", "."):
                parts.append(part)
        return tuple(parts)

    def show_path(self, path: Path) -> str:
        return "\\".join(path) if self.is_windows else f"/{'/'.join(path)}"

    def find(self, path: Path) -> Node | None:
        return self._nodes.get(path)

    def get_file(self, path: Path) -> File:
        node = self._nodes.get(path)
        if not isinstance(node, File):
            raise ShellError(f"{self.show_path(path)}: {'is a folder' if node else 'no such file'}")
        return node

    def name_of(self, path: Path) -> str:
        """Return the last part of a path. ShellError for the root, which has no name."""
        if not path:
            raise ShellError("the root cannot be copied, moved or packed")
        return path[-1]

    def names_in(self, folder: Path) -> list[str]:
        return sorted(path[-1] for path in self._nodes if path[:-1] == folder and path)

    def list_paths(self) -> list[Path]:
        """List all files and folders but the root."""
        return sorted(path for path in self._nodes if path)

    def list_files(self, path: Path) -> Iterator[tuple[Path, File]]:
        """List the files at a path and below it, with their paths from there on; of a file, its own is ()."""
        for found, node in sorted(self._nodes.items()):
            if found[: len(path)] == path and isinstance(node, File):
                yield found[len(path) :], node

    def make_folders(self, path: Path) -> None:
        """Make a folder and those above it."""
        for end in range(len(path) + 1):
            if isinstance(self._nodes.setdefault(path[:end], Folder()), File):
                raise ShellError(f"{self.show_path(path[:end])}: is a file")

    def make_folder(self, path: Path) -> None:
        if path in self._nodes:
            raise ShellError(f"{self.show_path(path)}: exists already")
        self._check_parent(path)
        self._nodes[path] = Folder()

    def write(self, path: Path, file: File) -> None:
        self._check_parent(path)
        if isinstance(self._nodes.get(path), Folder):
            raise ShellError(f"{self.show_path(path)}: is a folder")
        self._nodes[path] = file

    def set_mode(self, path: Path, mode: str) -> None:
        self._nodes[path] = replace(self._get(path), mode=mode)

    def copy(self, source: Path, target: Path, origin: Computer | None = None) -> None:
        """Copy a file or a whole folder. `origin` is the computer of the source; None: this one."""
        taken = (origin or self)._take(source)
        if origin in (None, self) and target[: len(source)] == source:
            raise ShellError(f"{self.show_path(source)}: cannot go into itself")
        self._check_parent(target)
        for rest, node in taken.items():
            there = self._nodes.get((*target, *rest))
            if there and type(there) is not type(node):
                raise ShellError(f"{self.show_path((*target, *rest))}: is in the way")
        self._nodes |= {(*target, *rest): node for rest, node in taken.items()}

    def remove(self, path: Path) -> None:
        for rest in self._take(path):
            del self._nodes[(*path, *rest)]
        if not path:
            self._nodes[()] = Folder()

    def _take(self, path: Path) -> dict[Path, Node]:
        """Return what is at a path and below it, by the path from there on."""
        self._get(path)
        return {found[len(path) :]: node for found, node in self._nodes.items() if found[: len(path)] == path}

    def _get(self, path: Path) -> Node:
        if path not in self._nodes:
            raise ShellError(f"{self.show_path(path)}: no such file or folder")
        return self._nodes[path]

    def _check_parent(self, path: Path) -> None:
        if not isinstance(self._nodes.get(path[:-1]), Folder):
            raise ShellError(f"{self.show_path(path[:-1])}: no such folder")
