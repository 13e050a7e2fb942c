"""Turns knitting charts into written patterns, and back."""

from .charts import parse
from .reading import chart
from .stitches import PatternError
from .writing import pattern, runs

__all__ = ["PatternError", "chart", "parse", "pattern", "runs"]
