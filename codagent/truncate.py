"""Text from a hostile program, made fit to read: control sequences made harmless, long output cut between lines."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|[ -/]*[0-~])"  # two-character sequences
)
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\n])", re.MULTILINE)
# C0 and C1 controls but tab and newline, and the marks that reorder or hide text
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def harmless(text: str) -> str:
    """`text` as a terminal or a model may see it: no escape sequences, a line that overwrote itself as it last stood, controls spelt."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    text = _OVERWRITTEN.sub("", text)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r", ""))


def spelt(text: str) -> str:
    """`text` with what `harmless` would take out spelt instead: for files, where nothing that is there may be hidden."""
    return harmless(text.replace("\r\n", "\n").replace("\r", "\\r").replace("\x1b", "\\x1b"))


def shorten(text: str, *, max_lines: int, max_bytes: int) -> str:
    """The head and tail of `text` within both limits, whole lines only, with a line between them that says what is missing.

    A line that alone passes half of `max_bytes` is left out whole.
    """
    lines = text.splitlines(keepends=True)
    total = len(text.encode(errors="surrogateescape"))
    if len(lines) <= max_lines and total <= max_bytes:
        return text
    head = _take(lines, max_lines // 2, max_bytes // 2)
    tail = _take(lines[len(head) :][::-1], max_lines - max_lines // 2, max_bytes // 2)[::-1]
    kept = sum(len(line.encode(errors="surrogateescape")) for line in head + tail)
    gap = len(lines) - len(head) - len(tail)
    return "".join([*head, f"[… {gap:,} lines, {total - kept:,} bytes left out …]\n", *tail])


def _take(lines: list[str], max_lines: int, max_bytes: int) -> list[str]:
    taken: list[str] = []
    for line in lines[:max_lines]:
        max_bytes -= len(line.encode(errors="surrogateescape"))
        if max_bytes < 0:
            break
        taken.append(line)
    return taken
