"""Commits into a sandbox or another repository, and the work back from there."""
