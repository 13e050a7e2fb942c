"""Recorded loops as data for other trainers."""
