"""The commands and their flags."""

from __future__ import annotations

import typer

from codagent import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"codagent {__version__}")
        raise typer.Exit


@app.callback()
def codagent(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_version, help="Print the version."),
) -> None:
    """A terminal coding agent that learns from its own work."""


def _register() -> None:
    from codagent.cli.commands import loop, machine, notes, records, replay, report, run

    for command in (
        run.run,
        loop.loop,
        loop.branch,
        records.show,
        records.diff,
        records.apply,
        replay.replay,
        records.list_,
        records.clean,
    ):
        app.command(name=command.__name__.rstrip("_"))(command)
    app.command()(machine.doctor)
    app.command()(report.report)
    app.add_typer(notes.notes, name="notes")
    app.add_typer(machine.models, name="models")
    app.add_typer(machine.sandbox, name="sandbox")


_register()
