"""A folder or a file that a command makes: there whole, or not at all."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError

from codagent.errors import CodagentError, UsageError
from codagent.truncate import harmless

_LONGEST = 300  # characters of what a library says


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


@contextmanager
def refuse_unreadable(what: str, advice: str, *, kind: type[CodagentError] = UsageError) -> Iterator[None]:
    """While a library reads files that others made: whatever it raises becomes a `kind` that says "`what`: why; `advice`".

    They raise anything: tokenizers a bare Exception, torch an UnpicklingError, peft a KeyError, json a RecursionError. Only a module that
    is missing, and our own errors, stay as they are.
    """
    try:
        yield
    except (CodagentError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise kind(f"{what}: {reason(error)}; {advice}") from error


def reason(error: Exception) -> str:
    """What an error of a library says, in a line that can be shown; with its type where it says too little."""
    if isinstance(error, UnpicklingError):
        return "a file is a pickle that holds more than tensors, which is never read"
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    said = harmless(" ".join(lines[: 2 if lines[0].endswith(":") else 1]))[:_LONGEST].rstrip(".")
    tells = (CodagentError, OSError, ValueError, RuntimeError, ImportError, safetensor_error())
    plain = isinstance(error, tells) and not isinstance(error, RecursionError)
    return said if plain or said == type(error).__name__ else f"{type(error).__name__}: {said}"


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()
