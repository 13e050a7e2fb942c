"""A folder or a file that a command makes: there whole, or not at all."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codagent.errors import UsageError


def vacant(out: Path) -> Path:
    """Its absolute path. UsageError when something is there."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there and not empty; give another --out")
    return out


@contextmanager
def whole(out: Path) -> Iterator[Path]:
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


def safetensor_error() -> type[Exception]:
    """What safetensors raises for all that goes wrong, a full disk included."""
    found: type[Exception] = importlib.import_module("safetensors").SafetensorError
    return found


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()
