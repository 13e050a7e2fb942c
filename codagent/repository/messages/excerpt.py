"""Shows the parts of a Python file that a task is about, where the whole file does not fit.

A part is a function, a method, or another statement of the module but an import. Parts whose lines or names the task and the checks' output
have come first, then those that they use.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codagent.repository.python_source import (
    PythonDefinition,
    PythonFunction,
    find_definitions,
    find_docstring,
    parse_python,
    split_python,
    start_of,
)
from codagent.repository.tools import number_lines
from codagent.text import read_indent, utf8_size

_LEFT_OUT = "# …"
_LEAST_QUOTED = 8  # characters of a line that tells where it is from
_MOST_QUOTED = 2  # lines of a part that count
_IS_LIKELY = 3  # score of a part from which what it uses counts, too
_LEAST_SHARE, _LEAST_SUSPECT = 0.25, 0.35  # of the best score, without and with suspicions
_RUN_BY_USE = ("__init__", "__new__", "__call__", "__post_init__")  # methods that run where the class is used
_SHORT = 3  # characters of a name
_LONGEST_DOCSTRING = 3  # lines; a longer one is left out, and the tool `define` keeps it
_MOST_PARTS = 40
_MOST_BYTES = 1_000_000  # of a file that is parsed
NO_SUSPECTS: Mapping[Any, Any] = {}


@dataclass(frozen=True, slots=True)
class _Class:
    """A class that has methods. Its head ends where its first statement begins."""

    start: int
    end_of_head: int
    name: str


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines of a file, from `start` up to `end`, which is not included."""

    start: int
    end: int
    names: frozenset[str]  # that it defines
    uses: frozenset[str]
    owner: _Class | None = None
    docstring: range = range(0)  # its lines that are not shown
    score: int = 0

    @property
    def full_names(self) -> frozenset[str]:
        """The names as other parts use them: those of a method follow the name of its class."""
        return frozenset(f"{self.owner.name}.{name}" for name in self.names) if self.owner else self.names


@dataclass(frozen=True, slots=True)
class _About:
    """What the task and the checks' output say of a file."""

    words: frozenset[str]
    called: frozenset[str]  # words before a parenthesis
    tested: frozenset[str]  # what follows `test_`
    quoted: frozenset[str]  # whole lines
    lines: frozenset[int]  # of the file, from 1


def excerpt_python(
    path: str, text: str, about: str, max_bytes: int, suspicions: Mapping[int, int] = NO_SUSPECTS, *, numbered: bool = False
) -> str:
    """Return the parts of the file `path` that `about` is about, as many as fit, in their order, with `# …` where something is left out.

    `suspicions` have a score for the functions that begin in these lines, from 1. `numbered` puts their numbers before the lines, which do
    not count for `max_bytes`. "": none is named or fits, or the text is not Python, or very long.
    """
    if len(text) > _MOST_BYTES:
        return ""
    try:
        tree = parse_python(text)
    except (SyntaxError, ValueError):
        return ""
    lines, said = split_python(text), _read_about(path, about)
    parts = [replace(part, score=_score(part, lines, said) + _suspect(part, suspicions)) for part in _list_parts(tree, lines)]
    used = frozenset().union(*(part.uses for part in parts if part.score >= _IS_LIKELY))
    parts = [replace(part, score=part.score or int(bool(part.full_names & used))) for part in parts]
    least = max((part.score for part in parts), default=0) * (_LEAST_SUSPECT if suspicions else _LEAST_SHARE)
    chosen = _choose([part for part in parts if part.score and part.score >= least], lines, max_bytes)
    return _render(chosen, lines, number_lines(lines) if numbered else lines) if chosen else ""


def _choose(parts: Sequence[_Part], lines: Sequence[str], max_bytes: int) -> list[_Part]:
    """Return the best parts that fit together, in their order."""
    chosen: list[_Part] = []
    for part in sorted(parts, key=lambda part: -part.score)[:_MOST_PARTS]:
        more = sorted([*chosen, part], key=lambda part: part.start)
        if utf8_size(_render(more, lines, lines)) <= max_bytes:
            chosen = more
    return chosen


def _render(parts: Sequence[_Part], lines: Sequence[str], as_shown: Sequence[str]) -> str:
    """Return the parts of a file with these lines. `as_shown` has them with their numbers, or as they are."""
    shown: list[str] = []
    at, owner = 0, None
    for part in parts:
        if part.owner and part.owner != owner:
            shown += [*_gap(lines[at : part.owner.start]), *as_shown[part.owner.start : part.owner.end_of_head]]
            at = part.owner.end_of_head
        owner, indent = part.owner, read_indent(lines[part.start])
        first_line = max(at, part.start)  # statements may share a line
        shown += [*_gap(lines[at : part.start], indent), *(as_shown[n] for n in range(first_line, part.end) if n not in part.docstring)]
        at = part.end
    return "".join([*shown, *_gap(lines[at:])])


def _gap(left_out: Sequence[str], indent: str = "") -> list[str]:
    """Return what stands for lines that are left out: empty lines are kept, others become a comment."""
    return [f"\n{indent}{_LEFT_OUT}\n\n"] if any(line.strip() for line in left_out) else list(left_out)


def _list_parts(tree: ast.Module, lines: Sequence[str]) -> Iterator[_Part]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and list(find_definitions(node.body)):
            owner = _Class(start_of(node), start_of(node.body[0]), node.name)
            yield from (_part(inner, lines, owner) for inner in node.body)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield _part(node, lines)


def _part(node: ast.stmt, lines: Sequence[str], owner: _Class | None = None) -> _Part:
    every = list(ast.walk(node))
    inner = [node] if isinstance(node, PythonDefinition) else every
    stored = {name.id for name in inner if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    names = stored | {found.name for found in inner if isinstance(found, PythonDefinition)}
    used = {name.id for name in every if isinstance(name, ast.Name)}
    own = {name.attr for name in every if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "self"}
    uses = used | {f"{owner.name}.{name}" for name in own} if owner else used
    docstring = find_docstring(node, lines) if isinstance(node, PythonFunction) and len(node.body) > 1 else range(0)
    hidden = docstring if len(docstring) > _LONGEST_DOCSTRING else range(0)
    return _Part(start_of(node), node.end_lineno or node.lineno, frozenset(names), frozenset(uses), owner, hidden)


def _read_about(path: str, about: str) -> _About:
    words = frozenset(re.findall(r"[A-Za-z_]\w*", re.sub(r"[\w/]+\.py\w?\b", "", about)))
    return _About(
        words=words,
        called=frozenset(re.findall(r"([A-Za-z_]\w*)\(", about)),
        tested=frozenset(word.removeprefix("test_") for word in words if word.startswith("test_")),
        quoted=frozenset(line for line in (line.lstrip("> ").strip() for line in about.splitlines()) if len(line) >= _LEAST_QUOTED),
        lines=frozenset(int(line[:9]) for line in re.findall(rf"(?<![\w/]){re.escape(path)}:([0-9]+)", about)),
    )


def _score(part: _Part, lines: Sequence[str], said: _About) -> int:
    """Score a part: 3 for each of its lines that is quoted or numbered, and more for names that are called, tested or named."""
    quoted = sum(line.strip() in said.quoted for line in lines[part.start : part.end])
    numbered = any(part.start < line <= part.end for line in said.lines)
    named = max((_score_member(name, part.owner, said) for name in part.names), default=0)
    return 3 * min(quoted, _MOST_QUOTED) + 3 * numbered + named


def _suspect(part: _Part, suspicions: Mapping[int, int]) -> int:
    return max((score for line, score in suspicions.items() if part.start < line <= part.end), default=0)


def _score_member(name: str, owner: _Class | None, said: _About) -> int:
    """Score a name by itself and by its class. Nobody writes the names that Python itself calls, such as `__init__`."""
    of_class = _score_name(owner.name, said) if owner else 0
    if name.startswith("__") and name.endswith("__"):
        return max(2 * (name in said.words), of_class if name in _RUN_BY_USE else int(bool(of_class)))
    return _score_name(name, said) + bool(of_class)


def _score_name(name: str, said: _About) -> int:
    """Score a name by how it occurs. One of three letters or less is a word of English too often."""
    tested = 2 if name in said.tested else int(any(word.startswith(f"{name}_") for word in said.tested))
    return (2 if name in said.called else int(name in said.words and len(name) > _SHORT)) + tested
