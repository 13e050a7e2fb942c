"""Recorded loops as training data."""
