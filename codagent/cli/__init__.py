"""The command line. Only this package prints, reads the environment and exits."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from codagent import __version__
from codagent.cli import signals
from codagent.errors import CodagentError, UsageError, explain_system_error

_OUTCOMES = {2: "usage", 4: "model", 5: "sandbox", 6: "repository", 7: "record", 8: "limit"}  # of the errors, by exit code


class _Refused(UsageError):
    """Arguments that no command takes. The person was told."""


@contextmanager
def _no_gc() -> Iterator[None]:
    """Switch the garbage collector off: imports make no garbage, and collecting it takes a fifteenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    """Run the `codagent` command. An error that is not a CodagentError is a bug: Python prints its traceback and exits with 1.

    With --json, standard output has one object also when the command ends early, and with --stream-json the event `end`.
    """
    if sys.argv[1:] == ["--version"]:
        print(f"codagent {__version__}")
        return
    _open_missing_streams()
    outcome, code, message = "error", 1, "there is a bug in codagent; its traceback is on standard error"
    told = False
    try:
        signals.listen()
        try:
            code, told = _invoke(), True
        finally:
            signals.ignore()
            _open_streams()  # a signal may have come before they were
    except _Refused as error:
        outcome, code, message = "usage", error.exit_code, str(error)
    except CodagentError as error:
        outcome, code, message = _OUTCOMES.get(error.exit_code, "error"), error.exit_code, str(error)
        _complain(message)
    except KeyboardInterrupt:
        outcome, code, message = "interrupted", signals.exit_code(signals.INTERRUPTED), "interrupted"
        if code != signals.PIPE_CLOSED:
            _complain(message)
    except OSError as error:
        code, message = explain_system_error(error)
        _complain(message)
    finally:
        if not told and {"--json", "--stream-json"} & {*sys.argv}:
            _print_early_end(outcome, code, message)
    sys.exit(code)


def _invoke() -> int:
    """Run the command that the arguments name, and return its exit code. A command that has a result to tell has then told it.

    Raises KeyboardInterrupt, and _Refused for arguments that no command takes; typer has told the person.
    """
    with _no_gc():
        from codagent.cli.app import app
        from codagent.cli.terminal.output import check_stdout
        from codagent.redaction import remember_named

    remember_named(os.environ)
    _open_streams()
    try:
        app(prog_name="codagent")
    except CodagentError:
        if signals.was_ended():  # it may be no more than what became of that: a terminal that is closed is none
            raise KeyboardInterrupt from None
        raise
    except SystemExit as end:
        reason = end.__context__
        if isinstance(reason and reason.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if explain := getattr(reason, "format_message", None):
            raise _Refused(explain()) from None
        if end.code:
            return end.code if isinstance(end.code, int) else 1
    check_stdout()
    return 0


def _print_early_end(outcome: str, code: int, message: str) -> None:
    """Print the object of a command that has no result: the keys of a result, nearly all of them null, and why there is none."""
    import json

    from codagent.cli.terminal.event_stream import print_event
    from codagent.cli.terminal.output import say
    from codagent.runner.result import KEYS

    facts = {**dict.fromkeys(KEYS), "outcome": outcome, "exit_code": code, "message": message}
    if "--stream-json" in sys.argv:
        print_event("end", **facts)
    else:
        say(json.dumps(facts))


def _open_missing_streams() -> None:
    """Put /dev/null in the place of each standard stream that was closed before codagent began: nothing else may get its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _open_streams() -> None:
    from codagent.cli.terminal.output import open_streams

    open_streams()


def _complain(message: str) -> None:
    from codagent.cli.terminal.output import warn

    warn(f"codagent: {message}")
