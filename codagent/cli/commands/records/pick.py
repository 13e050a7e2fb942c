"""Asks on a terminal which parts of a change are wanted, with the keys of `git add --patch`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence

from codagent.cli import options
from codagent.cli.terminal.output import say, write
from codagent.cli.terminal.paint import paint
from codagent.repository.git import ChangedFile
from codagent.text import escape_controls

_HELP = """\
y  take this
n  leave this
a  take this and the rest of the file
d  leave this and the rest of the file
q  leave this and all that follows"""


def ask(question: str, keys: str, meaning: str) -> str:
    """Ask until the answer is one of the letters in `keys`, and return it. `meaning` explains them; the end of the input is the last."""
    while True:
        write(f"{question} [{','.join(keys)},?] ", sys.stdout)
        line = sys.stdin.readline()
        if not line:
            say()
            return keys[-1]
        if (answer := line.strip().lower()[:1]) and answer in keys:
            return answer
        say(meaning)


def pick(changed: Sequence[ChangedFile]) -> dict[str, Collection[int] | None]:
    """Ask about each part of a change. Returns the numbers of the wanted hunks by path; None: the whole file."""
    chosen: dict[str, Collection[int] | None] = {}
    for file in changed:
        answers = list(_ask_about(file))
        wanted = [number for number, answer in enumerate(answers) if answer == "y"]
        if wanted:
            chosen[file.path] = None if len(wanted) == max(1, len(file.hunks)) else wanted
        if answers[-1:] == ["q"]:
            break
    return chosen


def _ask_about(file: ChangedFile) -> Iterator[str]:
    """Yield `y` or `n` for each part of a file, or `q` when nothing more is wanted."""
    name = escape_controls(file.path).replace("\n", "\\n")
    parts = [hunk.text for hunk in file.hunks] or [""]
    rest = ""
    for number, text in enumerate(parts, 1):
        if rest:
            yield rest
            continue
        if text:
            write(paint(text, color=options.colour()) + "\n", sys.stdout)
        which = f"hunk {number} of {len(parts)} of {name}" if file.hunks else f"{file.kind}: {name}"
        answer = ask(f"{which}; take it?", "ynadq", _HELP)
        if answer in "ad":
            rest = "y" if answer == "a" else "n"
        yield rest or answer
        if answer == "q":
            return
