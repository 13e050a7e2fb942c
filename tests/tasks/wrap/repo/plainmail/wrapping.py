"""Paragraphs in lines of a given width."""

from __future__ import annotations


def wrap(text: str, width: int = 72) -> list[str]:
    """The words of `text` in lines of at most `width` characters.

    As many words as fit share a line, one space between them. A word longer than
    `width` starts on a line of its own and is cut into pieces of `width` characters.
    """
    if width < 1:
        raise ValueError(f"a line needs room for one character at least: {width}")
    lines: list[str] = []
    line = ""
    for word in text.split():
        if len(word) > width:
            lines.extend(pieces(word, width))
        elif not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def pieces(word: str, width: int) -> list[str]:
    """`word` cut after every `width` characters; the last piece may be shorter."""
    return [word[at : at + width] for at in range(0, len(word), width)]
