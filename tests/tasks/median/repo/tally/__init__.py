"""Says in a few lines what is in a column of numbers."""

from .reading import column
from .report import report
from .summary import mean, median, spread

__all__ = ["column", "mean", "median", "report", "spread"]
