"""Finds out which checks are pytest commands: plain ones, and those in the usual wrappings.

What wraps pytest runs as it was written (`timeout 60`, `uv run`, `coverage run`, `cd sub &&`). What only shows or keeps the output is left
out (`| tail -3`, `| tee log`, `> log`, `2>&1`).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"])+"""
_SETTINGS = r"""(?:[A-Za-z_]\w*=(?:'[^']*'|"[^"]*"|[^\s'"])*\s+)*"""
_PYTHON = r"(?:/\S*/)?python(?:3(?:\.\d+)?)?"
_FOLDER = re.compile(r"cd\s+[\w./-]+\s*&&\s*")
_WRAPPED = re.compile(
    rf"""(?P<early>{_SETTINGS})
        (?P<wrapper>(?:(?:timeout(?:\s+-[ks]\s*\w+|\s+-{_WORD})*\s+[\d.]+[smhd]?|nice(?:\s+-n\s*\d+|\s+-\d+)?|(?:uv|poetry|pipenv|pdm)\s+run)\s+)*)
        (?:env\s+)?(?P<late>{_SETTINGS})
        (?:(?P<python>{_PYTHON}(?:\s+-(?:[Bbdqsuv]+|[WX]\s*[\w:=.]+))*|(?:{_PYTHON}\s+-m\s+)?coverage\s+run(?:\s+-(?!m\b){_WORD})*)\s+-m\s+pytest
          |(?P<script>(?:/\S*/)?(?:pytest|py\.test)))
        (?P<arguments>\s.*)?""",
    re.VERBOSE,
)
_IN_SHELL = re.compile(r"""(?:ba|da|z)?sh\s+-[eux]*c\s+(?:'([^']*)'|"([^"$`\\!]*)")""")
_SHOWN = re.compile(
    r"\s*(?:2>&1|(?:&>|1?>>?)\s*[\w./-]+(?:\s+2>&1)?|(?:2>&1\s*)?\|&?\s*(?:tee(?:\s+-a)?\s+[\w./-]+|cat|tail(?:\s+-n?\s*\d+)?))\s*$"
)
# The interpreter that the first line of pytest's script names.
_INTERPRETER = r"""$(sed -n '1s/^#! *\(.*python.*\)/\1/p' "$(command -v {script})" | grep . || echo python3)"""


@dataclass(frozen=True, slots=True)
class PytestCommand:
    """A pytest command in parts."""

    settings: str  # variables that are set before the command
    python: str  # what runs a folder with a `__main__.py`: an interpreter with its options, or coverage
    module: bool  # it was `python -m pytest`, which makes the working directory importable
    arguments: str
    folder: str = ""  # a change of the working directory, `cd sub && `
    wrapper: str = ""  # a limit or a runner around it, `timeout 60 `

    def run(self, target: str) -> str:
        """Return the shell command that runs `target`, a folder with a `__main__.py`, in place of pytest."""
        settings = f"env {self.settings}" if self.wrapper and self.settings else self.settings
        return f"{self.folder}{self.wrapper}{settings}{self.python} {target} {self.arguments}"


def split_check(check: str) -> list[str]:
    """Return the pytest commands that a check joins with `&&`. Any other check is returned whole."""
    parts = check.split("&&")
    return parts if len(parts) > 1 and all(map(parse_pytest, parts)) else [check]


def parse_pytest(check: str) -> PytestCommand | None:
    """Split a pytest command into its parts. Returns None for any other command, and for one that does more than call pytest."""
    text = _drop_shown(check.strip())
    if inside := _IN_SHELL.fullmatch(text):
        text = _drop_shown((inside[1] or inside[2] or "").strip())
    folder = _FOLDER.match(text)
    text = text[folder.end() :] if folder else text
    match = _WRAPPED.fullmatch(text)
    if match is None or "\n" in check or "`" in check or _does_more(text):
        return None
    python = match["python"] or _INTERPRETER.format(script=match["script"])
    settings, arguments = match["early"] + match["late"], (match["arguments"] or "").strip()
    return PytestCommand(settings, python, match["python"] is not None, arguments, folder[0] if folder else "", match["wrapper"])


def _drop_shown(text: str) -> str:
    while shown := _SHOWN.search(text):
        text = text[: shown.start()]
    return text


def _does_more(text: str) -> bool:
    """Whether a shell would do more than run one command."""
    words = shlex.shlex(text, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    try:
        return any(word and set(word) <= set("();<>|&") for word in words)
    except ValueError:  # an open quotation
        return True
