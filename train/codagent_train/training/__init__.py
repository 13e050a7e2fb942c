"""The method: from training samples to optimizer steps, and what a run will take."""
