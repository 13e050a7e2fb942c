"""The commands, each with an example."""

from __future__ import annotations

from collections.abc import Callable

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


def _register() -> None:
    from codagent.cli.acp.serve import acp
    from codagent.cli.commands import init, machine, notes, run, session
    from codagent.cli.commands.loops import bench, loop
    from codagent.cli.commands.records import accept, listing, replay, report, show

    examples: dict[Callable[..., None], str] = {
        init.init: "codagent init",
        run.run: "codagent run 'fix the failing test' --check 'pytest -q'",
        session.session: "codagent session --continue",
        acp: "codagent acp --model openai/gpt-5",
        loop.loop: "codagent loop 'fix the failing test' --check 'pytest -q'",
        loop.branch: "codagent branch 0301-1530 --at 2",
        bench.bench: "codagent bench instances.jsonl --repos clones --jobs 4",
        show.show: "codagent show",
        show.diff: "codagent diff 0301-1530",
        accept.apply: "codagent apply -- src/parser.py",
        accept.undo: "codagent undo",
        replay.replay: "codagent replay",
        listing.list_: "codagent list",
        listing.clean: "codagent clean --all",
        machine.doctor: "codagent doctor --model http://localhost:8000/v1",
        report.report: "codagent report --out report.html",
    }
    for command, example in examples.items():
        kind = accept.ApplyCommand if command is accept.apply else None
        app.command(name=command.__name__.rstrip("_"), cls=kind, epilog=f"Example: {example}")(command)
    app.add_typer(notes.notes, name="notes")
    app.add_typer(machine.models, name="models")
    app.add_typer(machine.sandbox, name="sandbox")


_register()
