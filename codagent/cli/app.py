"""The commands, each with an example."""

from __future__ import annotations

from collections.abc import Callable

import typer

from codagent import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
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
    """A terminal coding agent that learns from its own work."""


def _register() -> None:
    from codagent.cli.commands import loop, machine, notes, records, replay, report, run, session

    examples: dict[Callable[..., None], str] = {
        run.run: "codagent run 'fix the failing test' --check 'pytest -q'",
        session.session: "codagent session --continue",
        loop.loop: "codagent loop 'fix the failing test' --check 'pytest -q'",
        loop.branch: "codagent branch 0301-1530 --at 2",
        records.show: "codagent show",
        records.diff: "codagent diff 0301-1530",
        records.apply: "codagent apply",
        replay.replay: "codagent replay",
        records.list_: "codagent list",
        records.clean: "codagent clean --all",
        machine.doctor: "codagent doctor --model http://localhost:8000/v1",
        report.report: "codagent report --out report.html",
    }
    for command, example in examples.items():
        app.command(name=command.__name__.rstrip("_"), epilog=f"Example: {example}")(command)
    app.add_typer(notes.notes, name="notes")
    app.add_typer(machine.models, name="models")
    app.add_typer(machine.sandbox, name="sandbox")


_register()
