"""The manual page is that of the commands as they are."""

import runpy
from pathlib import Path

from typer.main import get_command

from codagent.cli.app import app

FOLDER = Path(__file__).parents[2] / ".github"
PAGE = (FOLDER / "codagent.1").read_text(encoding="utf-8")


def test_the_page_is_what_its_script_writes():
    assert runpy.run_path(str(FOLDER / "man_page.py"))["write_page"]() == PAGE, (
        "write it anew: python .github/man_page.py > .github/codagent.1"
    )


def test_the_page_has_every_command():
    commands = get_command(app).commands
    names = [f"{name} {sub}" for name, command in commands.items() for sub in getattr(command, "commands", {"": None})]
    assert [name for name in names if f"\\fBcodagent {name.strip()}\\fR" not in PAGE] == []
