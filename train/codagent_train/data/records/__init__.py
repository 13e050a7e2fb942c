"""Reads recorded loops as training data."""
