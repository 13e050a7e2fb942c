"""Files that a person names with @ in a text: their content is told with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from codagent.text import sanitize, truncate_middle

_MENTION = re.compile(r"(?<!\S)@(\S+)")
_MAX_LINES, _MAX_BYTES = 400, 24_000  # of a file


def attach_files(text: str, read: Callable[[str], bytes]) -> str:
    """Append the files that a text names as `@path`. What is no file stays as it is, and nothing is appended for it."""
    return "\n\n".join([text, *_fenced(text, read)])


def _fenced(text: str, read: Callable[[str], bytes]) -> Iterator[str]:
    for name in dict.fromkeys(_MENTION.findall(text)):
        for path in dict.fromkeys((name, name.rstrip(".,;:!?)"))):
            try:
                data = read(path)
            except OSError:
                continue
            content = truncate_middle(sanitize(data.decode(errors="replace")), max_lines=_MAX_LINES, max_bytes=_MAX_BYTES)
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`{3,}", content)), default=0))
            yield f"{path}:\n{fence}\n{content.rstrip()}\n{fence}"
            break
