"""Domains beside FrozenLake: what each is about is a Game, and one Environment plays them all."""
