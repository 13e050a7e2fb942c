"""Settings from several sources, one over the other."""

from .load import load
from .merging import lookup, merge
from .sources import from_environ, from_file

__all__ = ["from_environ", "from_file", "load", "lookup", "merge"]
