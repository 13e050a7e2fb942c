"""The text of a Python file, and changes to it that leave everything else as it is written."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end` of a file are replaced by `text`."""

    start: int
    end: int
    text: str


class Source:
    """A Python file with its syntax tree."""

    def __init__(self, data: bytes) -> None:
        """Parse a file. Raises SyntaxError or ValueError when it is not Python in UTF-8."""
        data.decode()
        self.data, self.tree = data, ast.parse(data)
        self.digest = hashlib.sha256(data).hexdigest()
        self._lines = [0]
        for line in data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt | ast.excepthandler) -> int:
        """Return the offset of a node's first byte."""
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.excepthandler) -> int:
        """Return the offset after a node's last byte."""
        return self._lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def text(self, start: int, end: int) -> str:
        return self.data[start:end].decode()

    def text_of(self, node: ast.expr | ast.stmt) -> str:
        return self.text(self.start(node), self.end(node))

    def replace(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        """Return the edit that writes `text` in the place of a node."""
        return Edit(self.start(node), self.end(node), text)

    def drop_lines(self, first: ast.stmt | ast.excepthandler, last: ast.stmt) -> Edit:
        """Return the edit that removes the whole lines from `first` to `last`."""
        return Edit(self._lines[first.lineno - 1], self._lines[last.end_lineno or last.lineno], "")

    def apply(self, edit: Edit) -> bytes | None:
        """Return the file after an edit. None: it would not be Python any more, or it would mean the same."""
        changed = self.data[: edit.start] + edit.text.encode() + self.data[edit.end :]
        try:
            tree = ast.parse(changed)
            compile(tree, "changed", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
        return None if ast.dump(tree) == ast.dump(self.tree) else changed
