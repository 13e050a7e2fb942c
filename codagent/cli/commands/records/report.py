"""`codagent report`: a session, run or loop as a page for the browser, and as a picture of its scores."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options
from codagent.cli.commands.records.stored import load_stored
from codagent.cli.terminal.output import say
from codagent.errors import UsageError
from codagent.redaction import hide_secrets
from codagent.repository import git

PAGE = "report.html"
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="File of the page.", show_default="beside the record")]
Png = Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also draw the scores (needs matplotlib).")]


def report(
    loop_id: options.RecordId = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    out: Out = None,
    png: Png = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a session, run or loop as one HTML page.

    The path of the page is printed.
    """
    from codagent.cli.page import draw_png, render_page

    stored = load_stored(repo, record, loop_id)
    branch = git.branch_name(stored.loop.id) if git.has_branch(stored.root, stored.loop.id) else ""
    html = render_page(stored.loop, diff=partial(git.diff, stored.root), branch=branch)
    file = out or stored.folder / PAGE
    try:
        file.write_text(hide_secrets(html), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the page cannot be written to {file}: {error.strerror}") from None
    say(file)
    if open_:
        import webbrowser

        webbrowser.open(file.resolve().as_uri())
    if png:
        draw_png(stored.loop, png)
        say(png)
