"""Chooses files by patterns."""

from .pattern import matches
from .rules import Rule, Rules
from .tree import list_files

__all__ = ["Rule", "Rules", "list_files", "matches"]
