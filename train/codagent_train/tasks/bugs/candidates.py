"""All bugs that the operators can put into a repository, in an order that mixes operators and functions."""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from random import Random

from codagent.repository.git import TESTS
from codagent_train.tasks.bugs.operators import OPERATORS, Function
from codagent_train.tasks.bugs.source import Edit, Source

_NOT_CODE = ("setup.py", "conftest.py", "noxfile.py", "docs/", "doc/", "examples/", "benchmarks/", "build/")
_MOST_LINES = 12  # of the code that a bug removes or changes


@dataclass(frozen=True, slots=True)
class Bug:
    """A change of one function that may be a bug. Whether it is one, the tests say."""

    path: str
    function: str  # its name, with those of the classes around it
    operator: str
    edit: Edit
    source: Source = field(repr=False)

    @property
    def key(self) -> str:
        """A name by which a later command knows the same bug."""
        text = f"{self.path} {self.edit} {self.source.digest}"
        return f"{self.path}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def data(self) -> bytes | None:
        """Return the whole file with the bug. None: it would not be Python any more, or it would mean the same."""
        return self.source.apply(self.edit)


def is_code(path: str) -> bool:
    """Return whether bugs may be put into a file: Python that is no test and no tool around the code."""
    return path.endswith(".py") and not TESTS.search(path) and not any(path.startswith(part) or f"/{part}" in path for part in _NOT_CODE)


def find_bugs(files: Mapping[str, bytes], seed: int) -> Iterator[Bug]:
    """Yield the bugs for all files, in an order that `seed` decides. Files that are not Python have none."""
    draw = Random(seed)  # noqa: S311 - no secret
    by_operator: dict[str, list[Bug]] = defaultdict(list)
    for path in sorted(files):
        for bug in _bugs_of(path, files[path]):
            by_operator[bug.operator].append(bug)
    for bugs in by_operator.values():
        draw.shuffle(bugs)
    return (bug for bug in chain.from_iterable(zip_longest(*by_operator.values())) if bug is not None)


def list_functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the functions and methods of a module with their names. Special methods that only show an object are left out."""
    waiting: list[tuple[str, Sequence[ast.stmt]]] = [("", tree.body)]
    for prefix, body in waiting:
        for node in body:
            if isinstance(node, ast.ClassDef):
                waiting.append((f"{prefix}{node.name}.", node.body))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in ("__repr__", "__str__", "__del__"):
                yield f"{prefix}{node.name}", node


def _bugs_of(path: str, data: bytes) -> Iterator[Bug]:
    try:
        source = Source(data)
    except (SyntaxError, ValueError, RecursionError):
        return
    for name, function in list_functions(source.tree):
        for operator, find in OPERATORS.items():
            for edit in dict.fromkeys(find(source, function)):
                if source.data[edit.start : edit.end].count(b"\n") <= _MOST_LINES:
                    yield Bug(path, name, operator, edit, source)
