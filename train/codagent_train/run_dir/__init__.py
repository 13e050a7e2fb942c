"""A training run on disk: its recipe, its checkpoints, its metrics, and which weights a text names."""
