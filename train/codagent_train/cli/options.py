"""Arguments and options that several commands of `codagent-train` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make.")]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="A run (its last checkpoint), a folder of weights, or their name on the hub.",
        show_default="those of the recipe",
    ),
]
WEIGHTS_ARGUMENT = typer.Argument(
    metavar="WEIGHTS",
    help="A run (its last checkpoint), a checkpoint, an adapter, a folder of weights, or OWNER/NAME of the hub.",
    show_default=False,
)
Check = Annotated[
    str, typer.Option("--check", metavar="CMD", help="The pytest command that runs the tests.", show_default="python -m pytest -q")
]
GoOn = Annotated[bool, typer.Option("--resume", help="Go on with a folder that an earlier command began.")]
On = Annotated[
    str | None, typer.Option("--on", metavar="ray[://HOST:PORT]", help="Play the loops on a Ray cluster.", show_default="this machine")
]
