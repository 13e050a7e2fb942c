"""Replaces one piece of text in a file: exactly as a model copied it, or nearly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from codagent.repository.tools.text_file import find_line_end, find_text, set_line_ends
from codagent.text import read_indent, split_lines


def replace_text(content: str, old: str, new: str) -> tuple[str | None, str]:
    """Replace the only occurrence of `old` in `content`. Returns the result and a note; the result is None when nothing was replaced.

    Lines are put in with the line ends of the file; where these differ, with the end of the line that is replaced. The last line keeps its
    newline. If `old` does not occur, lines are compared again with straight quotes and without trailing space; and then wherever the first
    line is indented to, where `new` is moved as far as `old`.
    """
    if error := _find_error(content, old, new):
        return None, error
    matches = list(find_text(content, old))
    if len(matches) > 1:
        starts = [match.start() for match in matches]
        return None, f"`old` occurs {len(starts)} times, in lines {_line_numbers(content, starts)}; take more lines around it"
    if not matches:
        return _replace_similar(content, old, new)
    start, end = matches[0].span()
    changed = content[:start] + set_line_ends(new, _line_end_at(content, start)) + content[end:]
    changed = _keep_last_newline(content, changed)
    if changed == content:
        return None, "`old` and `new` differ in line ends alone, and these stay as the file has them; nothing to do"
    return changed, "replaced 1 match"


def _find_error(content: str, old: str, new: str) -> str:
    """Say why nothing can be replaced, whatever the file's text is. "": something may be."""
    if not old:
        return "`old` is empty; give the text to replace, or use write for a whole file"
    if old == new:
        return "`old` and `new` are the same; nothing to do"
    return "" if content else "`old` does not occur, because the file is empty; use write to fill it"


def _replace_similar(content: str, old: str, new: str) -> tuple[str | None, str]:
    lines, stripped = split_lines(content), re.sub("\r\n", "\n", old).strip("\n")
    alike = [_normalise(line) for line in lines]
    pattern = [_normalise(line) for line in stripped.split("\n")] if stripped else []
    matches, wanted, how = _find(alike, pattern), re.sub("\r\n", "\n", new).strip("\n"), "quotes or trailing space"
    if not matches and any(pattern):
        matches, how = _find_moved(alike, pattern), "indentation"
        wanted = _move(wanted, read_indent(pattern[0]), read_indent(alike[matches[0]])) if len(matches) == 1 else wanted
    if len(matches) == 1:
        start, end = matches[0], matches[0] + len(pattern)
        ending = _line_end_at(content, sum(map(len, lines[:start])))
        last = ending if lines[end - 1].endswith("\n") else ""
        body = wanted.replace("\n", ending) + last if wanted else ""
        changed = _keep_last_newline(content, "".join([*lines[:start], body, *lines[end:]]))
        return changed, f"replaced 1 match (it differed in {how})"
    if matches:
        places = ", ".join(str(1 + at) for at in matches)
        return None, f"`old` occurs {len(matches)} times, in lines {places}; take more lines around it"
    near = get_close_matches(next((line for line in pattern if line.strip()), ""), alike, n=1, cutoff=0.6)
    hint = f"; the nearest line is {1 + alike.index(near[0])}: {near[0].strip()[:120]}" if near else ""
    return None, f"`old` does not occur in the file (0 matches){hint}; read the file and copy the text exactly"


def _find(lines: Sequence[str], pattern: Sequence[str]) -> list[int]:
    """Return where the lines of a pattern stand, if it has any."""
    return [at for at in range(len(lines) - len(pattern) + 1) if lines[at : at + len(pattern)] == pattern] if pattern else []


def _find_moved(lines: Sequence[str], pattern: Sequence[str]) -> list[int]:
    """Return where the lines of a pattern stand when all of them are indented by more or by less."""
    text, indent = "\n".join(pattern), read_indent(pattern[0])
    begins = [at for at, line in enumerate(lines) if line.lstrip() == pattern[0].lstrip()]
    return [at for at in begins if lines[at : at + len(pattern)] == _move(text, indent, read_indent(lines[at])).split("\n")]


def _move(text: str, before: str, after: str) -> str:
    """Indent each line by `after` in place of `before`; one that is indented by less has what is left of `after`."""
    if before.startswith(after):
        return re.sub(f"^{before.removeprefix(after)}", "", text, flags=re.MULTILINE)
    return re.sub(r"^(?=.)", after.removeprefix(before), text, flags=re.MULTILINE) if after.startswith(before) else text


def _line_end_at(content: str, start: int) -> str:
    """Return what the file's lines end with; where they differ, what the line at `start` ends with, or the one before it."""
    if uniform := find_line_end(content):
        return uniform
    at = content.find("\n", start)
    at = content.rfind("\n") if at < 0 else at
    return "\r\n" if at > 0 and content[at - 1] == "\r" else "\n"


def _keep_last_newline(content: str, changed: str) -> str:
    lost = content.endswith("\n") and changed and not changed.endswith("\n")
    return changed + ("\r\n" if content.endswith("\r\n") else "\n") if lost else changed


def _normalise(line: str) -> str:
    return line.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0xA0: " "}).rstrip()


def _line_numbers(content: str, starts: list[int]) -> str:
    return ", ".join(str(content.count("\n", 0, start) + 1) for start in starts[:10])
