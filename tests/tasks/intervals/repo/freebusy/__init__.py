"""Finds the time when everybody can meet."""

from .gaps import free
from .merge import busy_minutes, merge
from .slot import Slot, parse_slots

__all__ = ["Slot", "busy_minutes", "free", "merge", "parse_slots"]
