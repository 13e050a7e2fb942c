"""`codagent report`: a loop as a page for the browser, and as a picture of its scores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options
from codagent.cli.commands.records import kept
from codagent.cli.terminal.output import say
from codagent.errors import UsageError
from codagent.repository import git

PAGE = "report.html"
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes.", show_default="beside the record")]
Png = Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also a picture of the scores (needs matplotlib).")]


def report(
    loop_id: options.LoopId = None, *, repo: options.Repo = Path(), record: options.RecordDir = None, out: Out = None, png: Png = None
) -> None:
    """Write a loop as one HTML page, which needs nothing but a browser, and print where it is."""
    from codagent.cli.page import draw_png, render_page

    found = kept(repo, record, loop_id)
    page = render_page(found.loop, diff=partial(git.diff, found.root), branch=git.branch(found.loop.id))
    file = out or found.folder / PAGE
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the page cannot be written to {file}: {error.strerror}") from None
    say(file)
    if png:
        draw_png(found.loop, png)
        say(png)
