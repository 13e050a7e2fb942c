"""Alchemy-Random: recipes, texts, and how well it can be played."""
