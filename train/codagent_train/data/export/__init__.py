"""Exports recorded loops as data for other trainers."""
