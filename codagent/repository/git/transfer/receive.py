"""Adds objects from a hostile sandbox to the user's object store, after checking everything about them."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.repository.git.command import Git
from codagent.repository.git.objects import SUBMODULE, diff_trees, move_file, object_folder

MAX_PACK_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 1 << 30
_CHUNK = 1 << 16
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7


def receive(root: Path, base: str, tree: str, pack: bytes) -> None:
    """Add the pack's objects to the repository at `root`.

    `tree` must be complete with them, must not write paths that mean something to git, must not contain new repositories, and must have the
    submodules of `base`. Raises RepositoryError otherwise, and OSError when the disk is full.
    """
    if len(pack) > MAX_PACK_BYTES:
        raise RepositoryError(f"the result is larger than {MAX_PACK_BYTES >> 20} MB and was refused")
    _check_unpacked_size(pack, id_bytes=len(base) // 2)
    git = Git(root)
    objects = git.path("objects")
    with object_folder(git, objects) as quarantine:
        env = {"GIT_OBJECT_DIRECTORY": str(quarantine)}
        try:
            git("index-pack", "--stdin", "--fix-thin", "--strict", f"--max-input-size={MAX_PACK_BYTES}", stdin=pack, env=env)
            changes = diff_trees(git, base, tree, env=env)
        except RepositoryError as error:
            if "No space left" in str(error) or "quota exceeded" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(objects)) from error
            raise RepositoryError(f"what came out of the sandbox was refused: {error}") from error
        _refuse_forbidden(changes)
        _move(quarantine / "pack", objects / "pack")


def _check_unpacked_size(pack: bytes, *, id_bytes: int) -> None:
    """Raise RepositoryError for a pack that would be too large once unpacked.

    The sizes are those that the entries declare, and no entry is inflated beyond its size. git itself refuses an entry whose declared size
    is wrong. Format: gitformat-pack(5).
    """
    view, at, total = memoryview(pack), 12, 0
    try:
        for _ in range(int.from_bytes(pack[8:12], "big")):
            kind, size, at = _entry(pack, at)
            if kind == _OFFSET_DELTA:
                while pack[at] & 0x80:
                    at += 1
                at += 1
            elif kind == _REFERENCE_DELTA:
                at += id_bytes
            total += size
            if total > MAX_UNPACKED_BYTES:
                break
            start, at = _inflate(view, at, size)
            if kind in (_OFFSET_DELTA, _REFERENCE_DELTA):
                total += _varint(start, _varint(start, 0)[1])[0]
    except (IndexError, zlib.error) as error:
        raise RepositoryError("what came out of the sandbox was refused: its pack is damaged") from error
    if total > MAX_UNPACKED_BYTES:
        raise RepositoryError(f"what came out of the sandbox was refused: it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB")


def _entry(pack: bytes, at: int) -> tuple[int, int, int]:
    """Return the kind and the size of the entry at `at`, and the position of its remaining bytes."""
    first = pack[at]
    rest, after = _varint(pack, at + 1) if first & 0x80 else (0, at + 1)
    return first >> 4 & 7, first & 15 | rest << 4, after


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of variable length at `at`, and the position after it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def _inflate(view: memoryview, at: int, size: int) -> tuple[bytes, int]:
    """Inflate a stream of at most `size` bytes. Returns its first bytes and the position after it. Raises IndexError when it is larger."""
    stream, start, count = zlib.decompressobj(), b"", 0
    while not stream.eof:
        if at >= len(view) or count > size:
            raise IndexError
        chunk = view[at : at + _CHUNK]
        out = stream.decompress(chunk, size - count + 1)
        start, count = start or out[:32], count + len(out)
        at += len(chunk) - len(stream.unused_data) - len(stream.unconsumed_tail)
    return start, at


def _refuse_forbidden(changes: Iterable[tuple[str, str]]) -> None:
    for facts, path in changes:
        before, after = facts.split()[:2]
        if before == SUBMODULE:
            raise RepositoryError(f"what came out of the sandbox was refused: it changes the submodule {path}")
        if after == SUBMODULE:
            raise RepositoryError(
                f"the agent left a git repository in {path}, which cannot be carried out; it is best kept out of the work tree"
            )
        if path.partition("/")[0].lower() == ".codagent":
            raise RepositoryError(f"what came out of the sandbox was refused: it writes {path}, where loops are recorded")


def _move(packs: Path, store: Path) -> None:
    """Move the packs into the store. The index comes last, because git uses a pack only when its index exists."""
    store.mkdir(exist_ok=True)
    for file in sorted(packs.glob("pack-*"), key=lambda file: file.suffix == ".idx"):
        move_file(file, store / file.name)
