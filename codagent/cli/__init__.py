"""The command line. Only this package prints, reads the environment and exits."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from codagent import __version__
from codagent.errors import CodagentError


@contextmanager
def _no_gc() -> Iterator[None]:
    """Switch the garbage collector off: imports make no garbage, and collecting it takes a fifteenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    """Run the `codagent` command. An error that is not a CodagentError is a bug: Python prints its traceback and exits with 1."""
    if sys.argv[1:] == ["--version"]:
        print(f"codagent {__version__}")
        return
    with _no_gc():
        from codagent.cli.app import app

    try:
        app(prog_name="codagent")
    except CodagentError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(130)


def _complain(message: str) -> None:
    from codagent.cli.terminal.output import warn

    warn(f"codagent: {message}")
