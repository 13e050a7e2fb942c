"""Trains a model to get better from task to task by the notes that it writes: Connect the Dots (arXiv 2606.20002), on codagent's loop."""
