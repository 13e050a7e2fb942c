"""Lays out plain text for e-mail."""

from .listing import bullets
from .quoting import quote, unquote
from .wrapping import wrap

__all__ = ["bullets", "quote", "unquote", "wrap"]
