"""Lines with their numbers before them, like `12|    return total`: so a small model is shown a file, and so it answers.

It finds what stands in a line by copying the number, which it does well. A line without a number is new, and stands below the one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from codagent.repository.python_source import split_python
from codagent.repository.tools.text_file import find_line_end
from codagent.text import count

_NUMBERED = re.compile(r" {0,3}([0-9]{1,9})\|(.*)")


def number_lines(lines: Sequence[str]) -> list[str]:
    """Put its number before each line, from 1. Empty lines have none."""
    return [f"{number}|{line}" if line.strip() else line for number, line in enumerate(lines, 1)]


def replace_numbered(content: str, wanted: str) -> tuple[str | None, str]:
    """Put the lines of `wanted` in the place of those with their numbers. Returns the text and a note; None: nothing was replaced.

    Lines without a number go below the line before them; one that stands there already is not put there twice, because small models go on
    copying. A line with nothing after its number is removed. Line ends stay as they are.
    """
    lines, place = split_python(content), 0
    new: dict[int, list[str]] = {}
    for line in (line.removesuffix("\r") for line in wanted.removesuffix("\n").split("\n")):
        numbered = _NUMBERED.fullmatch(line)
        if numbered:
            place = int(numbered[1])
            if not 0 < place <= len(lines):
                return None, f"there is no line {place}; the file has {count(len(lines), 'line')}"
            if place in new:
                return None, f"line {place} is there twice; give each number once"
            new[place] = [numbered[2]] if numbered[2].strip() else []
        elif place and line.strip() and lines[place : place + 1] and line == lines[place].rstrip("\r\n"):
            place += 1
        elif place:
            new.setdefault(place, [lines[place - 1].rstrip("\r\n")]).append(line)
        elif line.strip():
            return None, "the first line has no number; begin each line that changes with its number and |"
    changed = _put_in(lines, new, find_line_end(content) or "\n")
    if changed == content:
        return None, "these lines stand there already; nothing to do"
    return changed, f"replaced {count(len(new), 'line')}"


def _put_in(lines: Sequence[str], new: Mapping[int, Sequence[str]], end: str) -> str:
    """Join the lines, with those of `new` in the place of the line with the number. `end` is for lines below the last, if it has no end."""
    joined = list(lines)
    for place, put in new.items():
        own_end = re.sub(r"[^\r\n]+", "", joined[place - 1])
        joined[place - 1] = (own_end or end).join(put) + own_end if put else ""
    return "".join(joined)
