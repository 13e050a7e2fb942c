"""A disk that holds no more: what the libraries say of it, each in its own way, becomes one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codagent.errors import RecordError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMBERED = tuple(f"(os error {number})" for number in _FULL)  # by safetensors
_CUT_OFF = ("unexpected pos", "PytorchStreamWriter failed")  # by torch, which does not tell why


@contextmanager
def written(out: Path) -> Iterator[None]:
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
        if not any(said in str(error) for said in _CUT_OFF):
            raise
        raise _no_room(out, "torch could not write a file to its end") from error


def _no_room(where: object, why: str) -> RecordError:
    return RecordError(f"the run could not be written: {where}: {why}; make room, then go on with --resume")
