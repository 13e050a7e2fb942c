"""Markdown while it is written: whole blocks are rendered and stay, the rest is shown as it is."""

from __future__ import annotations

import io
import re
from itertools import chain

from codagent.cli.session.view.ink import clean

_LONGEST = 100_000  # characters of a text that is rendered
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class MarkdownStream:
    """Splits a growing text at the ends of its blocks. The work for a piece does not grow with the text before it."""

    def __init__(self) -> None:
        self._lines: list[str] = []  # whole ones of the block that has not ended
        self._pieces: list[str] = []  # of the line that has not ended
        self._fence = ""  # that is open; "": none

    @property
    def rest(self) -> str:
        """What follows the last whole block."""
        return "".join((*self._lines, *self._pieces))

    def tail(self, characters: int) -> str:
        """Return the end of the rest, of about so many characters. The work does not grow with the rest."""
        pieces: list[str] = []
        for piece in chain(reversed(self._pieces), reversed(self._lines)):
            pieces.append(piece[-characters:])
            characters -= len(piece)
            if characters <= 0:
                break
        return "".join(reversed(pieces))

    def add(self, piece: str) -> str:
        """Add a piece, and return the blocks that are whole now. "": there are none."""
        *ended, last = piece.split("\n")
        blocks = ""
        for part in ended:
            line = "".join((*self._pieces, part))
            self._pieces.clear()
            self._lines.append(f"{line}\n")
            if self._ends_block(line):
                blocks += "".join(self._lines)
                self._lines.clear()
        self._pieces.append(last)
        return blocks

    def finish(self) -> str:
        """Return the rest, and begin anew."""
        rest = self.rest
        self.__init__()  # type: ignore[misc]
        return rest

    def _ends_block(self, line: str) -> bool:
        """Take note of a line, and return whether a block ends with it: an empty line, or the end of a fence."""
        fence = _FENCE.match(line)
        if self._fence:
            closed = fence is not None and fence[1].startswith(self._fence) and not line.strip().strip(self._fence[0])
            self._fence = "" if closed else self._fence
            return closed
        self._fence = fence[1] if fence else ""
        return not fence and not line.strip()


def render(text: str, columns: int, *, color: bool) -> str:
    """Render Markdown for a terminal. Control sequences in it are gone, and a link shows its address and is none.

    A text that is too long to be rendered in a second or two is returned as it is.
    """
    if len(text) > _LONGEST:
        return clean(text).strip("\n")
    from rich.console import Console
    from rich.markdown import Markdown

    page = io.StringIO()
    console = Console(file=page, force_terminal=color, width=max(20, columns), no_color=not color, legacy_windows=False)
    console.print(Markdown(clean(text), code_theme="ansi_dark", hyperlinks=False))
    lines = [line.rstrip() for line in page.getvalue().split("\n")]
    return "\n".join(lines).strip("\n")
