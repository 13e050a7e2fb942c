"""Charts out of written patterns."""

from __future__ import annotations

import re

from .stitches import DRAWN, PatternError

STRETCH = re.compile(r"([a-z]+)(\d+)")


def chart(text: str) -> list[str]:
    """The rows of a written pattern; what is before the colon of a line is not looked at."""
    return [row(line.rpartition(":")[2]) for line in text.splitlines() if line.strip()]


def row(words: str) -> str:
    """The stitches that a line such as 'k2 p2' asks for."""
    stitches: list[str] = []
    for word in words.split():
        stretch = STRETCH.fullmatch(word)
        if not stretch or stretch[1] not in DRAWN:
            raise PatternError(f"{word!r} is no stitch with a number")
        stitches.append(DRAWN[stretch[1]] * int(stretch[2]))
    return "".join(stitches)
