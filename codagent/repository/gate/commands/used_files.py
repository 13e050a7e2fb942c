"""The files that a check names and that decide about it: scripts, files of `make` and `npm`, expected outputs."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

_SHELL = (".sh", ".bash")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_PACKAGE = ("package.json", ".mocharc.json", "jest.config.js", "vitest.config.js", "vitest.config.ts")
_INTERPRETERS = re.compile(r"(\S*/)?(python[\d.]*|(ba|da|z|k)?sh|node|perl|ruby|php|source|\.)")
_EXPECTED = re.compile(r"expect|golden|snapshot|fixture", re.IGNORECASE)
_JUDGES = re.compile(
    rb"\bassert\b|\bsys\.exit\b|\bSystemExit\b|\bunittest\b|\bprocess\.exit\b|\bassert\(|\bassert\.|\braise \w*Error|\bdie\b",
    re.MULTILINE,
)
_RUNNERS = {"make": _MAKEFILES, "npm": _PACKAGE, "npx": _PACKAGE, "yarn": _PACKAGE, "pnpm": _PACKAGE, "just": ("justfile",)}


def find_used_files(checks: Sequence[str], paths: Sequence[str], read: Callable[[str], bytes]) -> tuple[str, ...]:
    """Return the files among `paths` that decide about the checks, and what could take their place.

    A script counts when it judges: when it has an assertion, an exit or an error of its own, or is one of the shell. Another one may well
    be the program that the task is about.
    """
    known, used = set(paths), set[str]()
    for check in checks:
        words = _split(check)
        for runner, files in _RUNNERS.items():
            # Without such a file at the start, writing it may be the task.
            if runner in words and known & set(files):
                used |= set(files)
        used |= {word for word in words if word in known and (word in _PACKAGE or word in _MAKEFILES)}
        if {"diff", "cmp"} & set(words):
            used |= {word for word in words if word in known and (_EXPECTED.search(word) or _is_compared(word, words))}
        used |= {script for script in _scripts(words) if script in known and (_is_shell(script) or _JUDGES.search(read(script)))}
        modules = [f"{module.replace('.', '/')}/__main__.py" for option, module in itertools.pairwise(words) if option == "-m"]
        used |= {module for module in modules if module in known and b"assert" in read(module)}
    waiting = list(used)
    while waiting:
        if (path := waiting.pop()) in known and (_is_shell(path) or path.endswith(".mk")):
            found = set(_list_included(read(path).decode(errors="replace"))) & known - used
            used |= found
            waiting += found
    return tuple(sorted(used))


def _list_included(text: str) -> Iterator[str]:
    """Yield the shell scripts that a script calls, and the files that a Makefile includes."""
    for line in text.splitlines():
        words = _split(line)
        if words and words[0].lstrip("-") == "include":
            yield from words[1:]
        yield from (script for script in _scripts(words) if script.endswith(_SHELL))


def _scripts(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that a shell would take for programs, and those that interpreters are given as scripts."""
    for place, word in enumerate(words):
        if place == 0 or words[place - 1] in ("&&", "||", ";", "|") or "=" in words[place - 1]:
            yield word
        if _INTERPRETERS.fullmatch(word):
            yield from (option for option in words[place + 1 : place + 4] if not option.startswith("-"))


def _is_compared(word: str, words: Sequence[str]) -> bool:
    """Whether a file is what the output of a program, `-`, is compared with."""
    return "-" in words and not word.endswith(".py")


def _is_shell(path: str) -> bool:
    return path.endswith(_SHELL) or "." not in path.rpartition("/")[2]


def _split(check: str) -> list[str]:
    """Return the words of a check, those of quoted commands too, each path without a `./` before it."""
    try:
        words = shlex.split(check)
    except ValueError:  # an open quotation
        words = check.split()
    inner = [part for word in words if re.search(r"[\s('\"]", word) for part in re.findall(r"[\w./-]+", word)]
    return [word.removeprefix("./") for word in [*words, *inner]]
