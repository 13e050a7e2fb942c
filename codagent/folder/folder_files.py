"""Brings the files of a folder into a sandbox, and what the agent made of them back.

What comes out of a sandbox is hostile: only plain files come back, only to places inside the folder, and never through a link. What git
reads, a `.git` at any depth, neither goes in nor comes out: its settings name commands that git would run here.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from codagent.errors import RepositoryError, SandboxError, UsageError
from codagent.files import read_plain, write_whole
from codagent.protocols import Sandbox

MAX_BYTES = 256 << 20
MAX_FILES = 20_000
_IN, _OUT = ".codagent-in.tar", ".codagent-out.tar"
_OURS, _GIT = ".codagent", ".git"
_LEAVINGS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}  # folders that programs make for themselves
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class FolderFile:
    """The content of a plain file, and whether it can be executed."""

    data: bytes
    executable: bool = False


Files = Mapping[str, FolderFile]  # by path in the folder, with "/"


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """What was done to a folder, by path."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # a person has changed them meanwhile, or they cannot be written; the work is beside them

    def __bool__(self) -> bool:
        return bool(self.written or self.removed or self.kept)


def read_folder(root: Path) -> Files:
    """Read the plain files below `root`. Links, devices and what is git's or codagent's stay out. UsageError when that is too much."""
    files: dict[str, FolderFile] = {}
    size = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or _is_private(path.relative_to(root)):
            continue
        size += path.stat().st_size
        if size > MAX_BYTES or len(files) == MAX_FILES:
            raise UsageError(f"{root} has more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MB; name a smaller folder with --repo")
        files[path.relative_to(root).as_posix()] = _read_file(path)
    return files


def put_files(sandbox: Sandbox, files: Files) -> None:
    """Write the files into the sandbox's empty working directory. Raises SandboxError when they do not fit."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, file in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(file.data), 0o755 if file.executable else 0o644
            tar.addfile(member, io.BytesIO(file.data))
    try:
        sandbox.write(_IN, archive.getvalue())
    except OSError as error:
        raise SandboxError(f"the folder did not fit into the sandbox ({error.strerror}); give it more workspace_mb") from error
    if sandbox.run(f"tar --no-same-owner -xf {_IN} && rm {_IN}", timeout=_SECONDS).exit_code:
        raise SandboxError("the folder could not be unpacked in the sandbox; its image needs tar")


def collect_files(sandbox: Sandbox) -> Files:
    """Return the plain files of the sandbox's working directory. Raises SandboxError when they do not come out."""
    left_out = " ".join(f"--exclude={name}" for name in (_OUT, f"./{_OURS}", _GIT, *sorted(_LEAVINGS)))
    result = sandbox.run(f"tar {left_out} -cf {_OUT} . && test $(wc -c < {_OUT}) -le {2 * MAX_BYTES}", timeout=_SECONDS)
    if result.exit_code:
        raise SandboxError(f"the files could not be packed in the sandbox, or are more than {2 * MAX_BYTES >> 20} MB")
    files: dict[str, FolderFile] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(sandbox.read(_OUT)), mode="r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if member.isreg() and not path.is_absolute() and ".." not in path.parts and not _is_private(path):
                    content = tar.extractfile(member)
                    files[path.as_posix()] = FolderFile(content.read() if content else b"", bool(member.mode & 0o100))
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise SandboxError(f"what came out of the sandbox is damaged: {error}") from error
    return files


def write_back(root: Path, before: Files, after: Files, kept: Path) -> FolderChanges:
    """Make the changes from `before` to `after` in the folder `root`.

    A file that a person has changed meanwhile stays as it is, and so does one that cannot be written; the agent's version is in
    `kept/after` then. What a change replaces or removes is in `kept/before`.
    """
    written: list[str] = []
    removed: list[str] = []
    left: list[str] = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new or (new is None and _LEAVINGS & {*PurePosixPath(path).parts}):
            continue
        saved = old is None or _write(kept / "before", path, old)
        if saved and _is_still(root, path, old) and _write(root, path, new):
            (written if new else removed).append(path)
            continue
        left.append(path)
        if new:
            _write(kept / "after", path, new)
    return FolderChanges(tuple(written), tuple(removed), tuple(left))


def _is_private(path: PurePath) -> bool:
    """Whether a path in the folder is git's or codagent's own. Some file systems take `.GIT` for `.git`."""
    return path.parts[0] == _OURS or any(part.lower() == _GIT for part in path.parts)


def _is_still(root: Path, path: str, old: FolderFile | None) -> bool:
    """Whether a file is as it was; None: there was none. What is no plain file of the folder is not."""
    try:
        return _read_file(_locate(root, path)) == old
    except FileNotFoundError:
        return old is None
    except (OSError, RepositoryError):
        return False


def _read_file(path: Path) -> FolderFile:
    return FolderFile(read_plain(path, max_bytes=MAX_BYTES), bool(path.stat().st_mode & 0o100))


def _write(root: Path, path: str, file: FolderFile | None) -> bool:
    """Write a file as a whole, or remove it (None). Returns whether that was done; if not, what was there is as it was."""
    try:
        if file is None:
            _locate(root, path).unlink()
            return True
        root.mkdir(parents=True, exist_ok=True)
        target = _locate(root, path, make=True)
        write_whole(target, file.data, executable=file.executable)
    except (OSError, RepositoryError):
        return False
    return True


def _locate(root: Path, path: str, *, make: bool = False) -> Path:
    """Return where a path is, and make the folders above it. Raises RepositoryError when one of them is a link."""
    place = root
    for part in PurePosixPath(path).parts[:-1]:
        place /= part
        if make and not os.path.lexists(place):
            place.mkdir()
        if place.is_symlink():
            raise RepositoryError(f"{place} is a link")
    return root / path
