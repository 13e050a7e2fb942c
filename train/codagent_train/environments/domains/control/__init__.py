"""Optimal control in one dimension: the plant, laws of control, texts, and how well it can be played."""
