"""Evaluation: play test packs, report on them, and compute what can be reached."""
