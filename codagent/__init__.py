"""A terminal coding agent that learns from its own work."""

__version__ = "0.1.0"
