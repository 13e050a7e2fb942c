"""Every error that a person can see, as one tree; the class carries the exit code.

    CodagentError
    ├── UsageError            2   wrong usage, wrong file, unknown model, unknown price with a money limit
    ├── ModelError            4   endpoint down, refused or out of quota
    │   ├── RequestRefused        the server refused what the request says, before it did any work
    │   ├── NotServed             the server did no work: no request arrived, or it refused the key or the name
    │   ├── Refusal               the model, or a filter around it, refuses to answer; the attempt ends
    │   └── ContextOverflow       the request was too long for the model; the agent shortens it and asks again
    ├── SandboxError          5   engine missing, image missing, container gone
    ├── RepositoryError       6   not git, or a patch that does not apply
    │   └── NotPublished          the work is kept as a commit, but a ref could not be written
    ├── RecordError           7   unknown schema, or damaged
    ├── LimitReached          8   tokens, money, time
    ├── Diverged             10   training gave numbers that are not finite (codagent_train.errors)
    └── PhaseFailed               a command that `improve` ran; its own exit code (codagent_train.errors)

A message says what, which, and what to do next. Only `cli` turns an error into text and an exit code.
"""

import errno
from typing import ClassVar, Literal

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_MACHINE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENAMETOOLONG),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
)  # not wrong in codagent, but on this machine, or in a path that a person gave


class CodagentError(Exception):
    """The root; never raised itself."""

    exit_code: int = 1


class UsageError(CodagentError):
    exit_code = 2


class ModelError(CodagentError):
    exit_code = 4


class RequestRefused(ModelError):
    pass


class NotServed(ModelError):
    pass


class Refusal(ModelError):
    ADVICE: ClassVar[str] = "say the task in other words, or take another model"


class ContextOverflow(ModelError):
    pass


class SandboxError(CodagentError):
    exit_code = 5


class RepositoryError(CodagentError):
    exit_code = 6


class NotPublished(RepositoryError):
    """`commit` holds the work; the message says how it is found."""

    def __init__(self, commit: str, message: str) -> None:
        super().__init__(message)
        self.commit = commit


class RecordError(CodagentError):
    exit_code = 7


class LimitReached(CodagentError):
    """`limit` is the one that the next request could have passed."""

    exit_code = 8

    def __init__(self, limit: Literal["tokens", "usd", "seconds"], message: str) -> None:
        super().__init__(message)
        self.limit = limit


def explain_system_error(error: OSError) -> tuple[int, str]:
    """Return the exit code and one sentence for an error of the machine: a full disk, no permission. Raises any other error, a bug."""
    if error.errno not in (*_FULL_DISK, *_OF_MACHINE):
        raise error
    code = RecordError.exit_code if error.errno in _FULL_DISK else UsageError.exit_code
    return code, f"{error.filename or 'this machine'}: {error.strerror}"
