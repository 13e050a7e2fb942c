"""Colours and widths of a terminal. Text is made harmless before it is painted."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_toolkit.utils import get_cwidth

from codagent.text import escape_undecodable, hide_secrets, sanitize

_CODES = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Ink:
    """Paints text, or leaves it as it is. Without colour, bold and dim are left out, too."""

    color: bool

    def __call__(self, style: str, text: str) -> str:
        """Return a text in a style: dim, bold, red, green, yellow or cyan."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and text else text


def clean(text: str) -> str:
    """Return a text that a terminal can show, whatever a model or a program has put into it."""
    return escape_undecodable(hide_secrets(sanitize(text)))


def wrap(text: str, columns: int) -> list[str]:
    """Split a line into lines of at most so many columns, of which wide characters take two."""
    lines, width = [""], 0
    for character in text:
        size = get_cwidth(character)
        if width + size > columns and lines[-1]:
            lines.append("")
            width = 0
        lines[-1] += character
        width += size
    return lines


def wrap_words(text: str, columns: int) -> str:
    """Break lines between words, so that none is wider than so many columns, unless a word is. Before such a word, no line is broken."""
    broken = []
    for line in text.split("\n"):
        broken.append("")
        for word in line.split(" "):
            longer = f"{broken[-1]} {word}" if broken[-1] else word
            if get_cwidth(longer) > columns >= get_cwidth(word) and broken[-1]:
                broken.append(word)
            else:
                broken[-1] = longer
    return "\n".join(broken)
