"""Evaluation as a matrix: checkpoints by domains, levels and packings, with controls in each cell."""
