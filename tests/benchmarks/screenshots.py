"""Makes the screenshots of the README from the real program, in a real terminal and in Docker, with a server on this machine as the model.

    .venv/bin/python -m tests.benchmarks.screenshots

Needs tmux, a container engine and the sandbox image. Writes .github/images/session.svg and loop.svg.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.cli.session.tmux import Tmux
from tests.models.loopback import Answer, serve

IMAGES = Path(__file__).parents[2] / ".github/images"
COLUMNS = 100
# dark, as most terminals are
THEME = TerminalTheme(
    (22, 24, 29),
    (214, 217, 224),
    [(60, 64, 72), (224, 108, 117), (126, 190, 110), (213, 178, 92), (97, 160, 224), (190, 120, 212), (86, 182, 194), (171, 178, 191)],
    [(120, 126, 138), (224, 108, 117), (126, 190, 110), (213, 178, 92), (97, 160, 224), (190, 120, 212), (86, 182, 194), (255, 255, 255)],
)
BUG = "def median(numbers):\n    ordered = sorted(numbers)\n    return ordered[len(ordered) // 2]\n"
TEST = "from stats import median\n\n\ndef test_even():\n    assert median([1, 2, 3, 4]) == 2.5\n"
MENDED = """\
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2"""
WRONG = "    return (ordered[0] + ordered[-1]) / len(ordered)"
OLD = "    return ordered[len(ordered) // 2]"


def say(text: str, *calls: tuple[str, str]) -> Answer:
    return Answer(text, calls, usage=(2_800, 90))


def call(name: str, **arguments: str) -> tuple[str, str]:
    return name, json.dumps(arguments)


EXPLAINED = (
    "`median` sorts the numbers and returns the one in the **middle**. For an even count it should return the mean of the two middle ones."
)
SESSION = [
    say(EXPLAINED),
    say("I mend it and run the test.", call("edit", path="stats.py", old=OLD, new=MENDED), call("bash", command="python3 -m pytest -q")),
    say("Done: an even count gives the mean of the two middle numbers, and the test passes."),
]
FINISH = say("", call("finish", summary="an even count gives the mean of two numbers"))
LOOP = [
    say("", call("edit", path="stats.py", old=OLD, new=WRONG)),
    FINISH,
    say("<notes>\n- the mean of the ends is wrong: use the two middle numbers\n</notes>"),
    say("", call("edit", path="stats.py", old=WRONG, new=MENDED)),
    FINISH,
]


@contextmanager
def open_terminal(lines: int) -> Iterator[tuple[Tmux, Path]]:
    """A terminal in a repository that has a bug and a test, with a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder, "statistics"), Path(folder, "home")
        root.mkdir()
        home.mkdir()
        (root / "stats.py").write_text(BUG)
        (root / "test_stats.py").write_text(TEST)
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
        with Tmux(root, home, COLUMNS, lines) as terminal:
            yield terminal, home


def draw(terminal: Tmux, name: str, title: str) -> None:
    """Write what the terminal shows as an SVG without fonts from elsewhere."""
    lines = terminal("capture-pane", "-p", "-e", "-J").rstrip("\n").split("\n")
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True, color_system="truecolor")  # noqa: PTH123, SIM115
    console.print(Text.from_ansi("\n".join(lines)), soft_wrap=False)
    fontless = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )
    IMAGES.mkdir(exist_ok=True)
    svg = console.export_svg(title=title, theme=THEME, code_format=fontless, unique_id=name)
    (IMAGES / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.split("\n")))


def name_model(home: Path, url: str) -> None:
    """Write the person's settings, which name the server, its window and its price."""
    folder = home / ".config/codagent"
    folder.mkdir(parents=True)
    price = "{prompt = 3, completion = 15}"
    model = f'[models.demo-model]\nurl = "{url}#m"\nwindow = 200000\nprice = {price}\n'
    (folder / "config.toml").write_text(f'model = "demo-model"\n{model}')


def show_session(answers: Sequence[Answer]) -> None:
    with serve(*answers) as server, open_terminal(34) as (terminal, home):
        name_model(home, server.url)
        terminal.clear()
        terminal.type("codagent")
        terminal.wait_for("demo-model")
        terminal.type("what does median do?")
        terminal.wait_for("of the two middle ones.")
        terminal.type("mend it, please")
        terminal.wait_for("1 file changed")
        terminal.type("/apply")
        terminal.wait_for("/undo takes them back")
        draw(terminal, "session", "codagent")
        terminal.type("/quit")
        terminal.wait_for("is kept")


def show_loop(answers: Sequence[Answer]) -> None:
    with serve(*answers) as server, open_terminal(34) as (terminal, home):
        name_model(home, server.url)
        terminal.clear()
        terminal.type('codagent loop "median is wrong for an even count" --check "python3 -m pytest -q"')
        terminal.wait_for("record:  ", "codagent: ")
        draw(terminal, "loop", "codagent loop")


if __name__ == "__main__":
    show_session(SESSION)
    show_loop(LOOP)
