"""The command `codagent` itself."""

from __future__ import annotations

import typer

from codagent import __version__
from codagent.cli.start import StartGroup

app = typer.Typer(
    cls=StartGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Example: codagent run 'fix the failing test'",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"codagent {__version__}")
        raise typer.Exit


@app.callback()
def codagent(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_version, help="Print the version."),
) -> None:
    """A terminal coding agent that learns from its own work.

    Without a command, a session begins; words that are no command are a task: codagent "fix the failing test".
    """
