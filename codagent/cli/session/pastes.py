"""Long pastes as one short mark in the input, which becomes the text again when the line is sent."""

from __future__ import annotations

import re

LONGEST_LINES, LONGEST_CHARACTERS = 8, 2_000  # of a paste that is shown as it is
_MARK = re.compile(r"\[paste (\d+): [\d,]+ lines?\]")


class Pastes:
    """The long pastes of a session."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def fold(self, text: str) -> str:
        """Return what a pasted text looks like in the input: a mark when it is long."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines <= LONGEST_LINES and len(text) <= LONGEST_CHARACTERS:
            return text
        self._texts.append(text)
        return f"[paste {len(self._texts)}: {lines:,} line{'s' if lines > 1 else ''}]"

    def unfold(self, line: str) -> str:
        """Put the texts back in the place of their marks."""

        def restore(match: re.Match[str]) -> str:
            number = int(match[1])
            return self._texts[number - 1] if 0 < number <= len(self._texts) else match[0]

        return _MARK.sub(restore, line)
