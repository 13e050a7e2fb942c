"""A note that can be typed into, with undo and redo."""

from .edit import Edit, EditError
from .history import History
from .note import Note

__all__ = ["Edit", "EditError", "History", "Note"]
