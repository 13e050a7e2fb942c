"""Reads and writes the query of a link."""

from .coding import decode, encode
from .query import Query

__all__ = ["Query", "decode", "encode"]
