"""What was done to a text and what was undone."""

from __future__ import annotations

from .edit import Edit


class History:
    """The edits of one text; it hands them out and leaves it to others to apply them."""

    def __init__(self) -> None:
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    def record(self, edit: Edit) -> None:
        """Adds an edit that was made; one that continues the word before it is joined to it."""
        if self._done and edit.continues(self._done[-1]):
            word = self._done.pop()
            edit = Edit(word.at, "", word.inserted + edit.inserted)
        self._done.append(edit)

    def undo(self) -> Edit | None:
        """The edit that takes the last one back, or None if there is nothing to undo."""
        if not self._done:
            return None
        edit = self._done.pop()
        self._undone.append(edit)
        return edit.inverse()

    def redo(self) -> Edit | None:
        """The edit that was undone last, or None if there is nothing to redo."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        self._done.append(edit)
        return edit
