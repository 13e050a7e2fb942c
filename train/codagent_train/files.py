"""What a command or a run writes: a folder or a file that is there whole or not at all, and a full disk told in one sentence."""

from __future__ import annotations

import errno
import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codagent.errors import RecordError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMBERED = tuple(f"(os error {number})" for number in _FULL)  # by safetensors
_CUT_OFF = ("unexpected pos", "PytorchStreamWriter failed")  # by torch, which does not tell why


def require_empty(out: Path) -> Path:
    """Its absolute path. UsageError when something is there."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there and not empty; give another --out")
    return out


@contextmanager
def atomic_output(out: Path) -> Iterator[Path]:
    """A path beside `out` to write to, which becomes `out` at the end, when all went well. UsageError when it cannot be written."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        _remove(unfinished)  # of a command that was killed
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(out)
    except (OSError, safetensor_error()) as error:
        raise UsageError(f"{out} cannot be written: {first_line(error)}; make room or give another --out") from error
    finally:
        _remove(unfinished)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """While a run writes into its folder. RecordError once there is no room, with what to do: the checkpoints before are whole."""
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _no_room(error.filename or out, str(error.strerror)) from error
    except SafetensorError as error:
        if not str(error).endswith(_NUMBERED):
            raise
        raise _no_room(out, str(error)) from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _CUT_OFF):
            raise
        raise _no_room(out, "torch could not write a file to its end") from error


def safetensor_error() -> type[Exception]:
    """What safetensors raises for all that goes wrong, a full disk included."""
    error: type[Exception] = importlib.import_module("safetensors").SafetensorError
    return error


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _no_room(where: object, why: str) -> RecordError:
    return RecordError(f"the run could not be written: {where}: {why}; make room, then go on with --resume")
