"""Keeps the shared money of a group."""

from .ledger import Ledger
from .money import cents, show
from .sharing import split
from .statement import statement

__all__ = ["Ledger", "cents", "show", "split", "statement"]
