"""Plays many loops of one policy at once."""
