"""Engines: what samples replies for many loops at once. One Protocol; which one serves is the recipe's choice."""
