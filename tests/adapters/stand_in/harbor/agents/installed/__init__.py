"""Agents inside of containers; their base has the errors."""
