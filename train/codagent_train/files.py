"""Writing output files whole or not at all, and one sentence for a full disk or a file that a library cannot read."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from codagent.errors import CodagentError, RecordError, UsageError
from codagent.text import sanitize

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMBERED = tuple(f"(os error {number})" for number in _FULL)  # how safetensors ends the text of such an error
_CUT_OFF = ("unexpected pos", "PytorchStreamWriter failed")  # what torch says when a file ends too early; it does not say why
_MAX_DESCRIPTION = 300  # characters of a library's message that are shown


def require_empty(out: Path) -> Path:
    """Return the absolute path of `out`. Raises UsageError when a file or a folder that is not empty is there."""
    out = out.absolute()
    with _refuse_place(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} exists and is not empty; give another --out")
    return out


def require_folder(source: Path) -> None:
    """Raise UsageError unless `source` is a folder."""
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder; give the folder of a Python repository")


def make_writable(out: Path) -> None:
    """Make a folder for results, with those above it, unless it exists. Raises UsageError when no file can be written there."""
    with _refuse_place(out):
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def begin_folder(request: Path, asked: Mapping[str, Any], repositories: Iterable[str], *, resume: bool) -> None:
    """Make the folder of the file `request`, and write down there what is asked for. With `resume`, compare it with what is there.

    Raises UsageError when something else was asked for, when the folder is not empty or cannot be made, and when it is in one of the
    repositories, which are only read.
    """
    out, text = request.parent, json.dumps(asked, indent=1)
    if resume and request.is_file():
        if request.read_text(encoding="utf-8") != text:
            raise UsageError(f"{out} was begun with other repositories or options; take those, or give another --out")
        return
    for repository in map(Path, repositories):
        if out.resolve().is_relative_to(repository.resolve()):
            raise UsageError(f"{out} is in the repository {repository}, which is only read; give an --out elsewhere")
    make_writable(require_empty(out))
    request.write_text(text, encoding="utf-8")


@contextmanager
def atomic_output(out: Path) -> Iterator[Path]:
    """Give a temporary path beside `out`. It is renamed to `out` when the block ends without an error, else it is removed.

    Raises UsageError when it cannot be written.
    """
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        _remove(unfinished)  # a command that was killed may have left it
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(out)
    except (OSError, safetensor_error()) as error:
        raise UsageError(f"{out} cannot be written: {first_line(error)}; make room or give another --out") from error
    finally:
        _remove(unfinished)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one RecordError that says how to go on. Other errors pass through.

    `out` is the folder of the run, for the message. The checkpoints that were written before stay whole.
    """
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
    """Return the class of the errors that safetensors raises, those of a full disk among them. safetensors is imported here."""
    error: type[Exception] = importlib.import_module("safetensors").SafetensorError
    return error


@contextmanager
def refuse_unreadable(problem: str, advice: str, *, kind: type[CodagentError] = UsageError) -> Iterator[None]:
    """Turn any error of a library that reads somebody else's files into a `kind` with the message "`problem`: reason; `advice`".

    All exceptions are caught, because these libraries raise anything: tokenizers a bare Exception, torch an UnpicklingError, peft a
    KeyError, json a RecursionError. Only our own errors, and the error for a module that is not installed, pass through.
    """
    try:
        yield
    except (CodagentError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise kind(f"{problem}: {describe_error(error)}; {advice}") from error


def describe_error(error: Exception) -> str:
    """Return what an error of a library says, as one short line without control characters.

    The name of its class comes first when the text alone does not say what is wrong, as with KeyError: 'x'.
    """
    if isinstance(error, UnpicklingError):
        return "a file is a pickle that holds more than tensors, which is never read"
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    text = sanitize(" ".join(lines[: 2 if lines[0].endswith(":") else 1]))[:_MAX_DESCRIPTION].rstrip(".")
    speaking = (CodagentError, OSError, ValueError, RuntimeError, ImportError, safetensor_error())
    is_clear = isinstance(error, speaking) and not isinstance(error, RecursionError)
    return text if is_clear or text == type(error).__name__ else f"{type(error).__name__}: {text}"


def first_line(error: Exception) -> str:
    """Return the first line of the error's text; the name of its class when it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _refuse_place(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{out} cannot be used ({(error.strerror or str(error)).lower()}); give another --out") from error


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _no_room(where: object, why: str) -> RecordError:
    return RecordError(f"the run could not be written: {where}: {why}; make room, then continue with --resume")
