"""The text and its history together."""

from __future__ import annotations

from .edit import Edit
from .history import History


class Note:
    def __init__(self, text: str = "") -> None:
        self.text = text
        self._history = History()

    def type(self, at: int, letters: str) -> None:
        self._change(Edit(at, "", letters))

    def erase(self, at: int, length: int) -> None:
        self._change(Edit(at, self.text[at : at + length], ""))

    def undo(self) -> bool:
        """Takes the last change back; False if there is none."""
        return self._follow(self._history.undo())

    def redo(self) -> bool:
        """Makes the change again that was undone last; False if there is none."""
        return self._follow(self._history.redo())

    def _change(self, edit: Edit) -> None:
        self.text = edit.apply(self.text)
        self._history.record(edit)

    def _follow(self, edit: Edit | None) -> bool:
        if edit is None:
            return False
        self.text = edit.apply(self.text)
        return True
