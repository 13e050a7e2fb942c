"""Loops played side by side by a policy."""
