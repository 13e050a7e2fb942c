"""Lines with their numbers before them, like `12|    return total`: so a small model is shown a file, and so it answers.

It finds what stands in a line by copying the number, which it does well. A line without a number is new, and stands below the one before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codagent.repository.python_source import split_python
from codagent.repository.tools.text_file import find_line_end
from codagent.text import count

_NUMBERED = re.compile(r" {0,3}([0-9]{1,9})\|(.*)")


def number_lines(lines: Sequence[str]) -> list[str]:
    """Put its number before each line, from 1. Empty lines have none."""
    return [f"{number}|{line}" if line.strip() else line for number, line in enumerate(lines, 1)]


def replace_numbered(content: str, wanted: str) -> tuple[str | None, str]:
    """Put the lines of `wanted` in the place of those with their numbers. Returns the text and a note; None: nothing was replaced.

    Lines without a number go below the line before them. One with nothing after its number is removed. Line ends stay as they are.
    """
    lines, place = split_python(content), 0
    new: dict[int, list[str]] = {}
    for line in wanted.removesuffix("\n").split("\n"):
        numbered = _NUMBERED.fullmatch(line.removesuffix("\r"))
        if numbered:
            place = int(numbered[1])
            if not 0 < place <= len(lines):
                return None, f"there is no line {place}; the file has {count(len(lines), 'line')}"
            if place in new:
                return None, f"line {place} is there twice; give each number once"
            new[place] = [numbered[2]] if numbered[2].strip() else []
        elif place:
            new[place].append(line.removesuffix("\r"))
        elif line.strip():
            return None, "the first line has no number; begin each line that changes with its number and |"
    for place, put in new.items():
        old_end = re.sub(r"[^\r\n]+", "", lines[place - 1])
        lines[place - 1] = (old_end or find_line_end(content) or "\n").join(put) + old_end if put else ""
    changed = "".join(lines)
    if changed == content:
        return None, "these lines stand there already; nothing to do"
    return changed, f"replaced {count(len(new), 'line')}"
