"""The stitches: how each is drawn and how it is written."""

from __future__ import annotations

WRITTEN = {".": "k", "-": "p", "o": "yo"}
DRAWN = {name: symbol for symbol, name in WRITTEN.items()}


class PatternError(ValueError):
    """A chart or a pattern that nobody could knit."""
