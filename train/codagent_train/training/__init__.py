"""Takes optimizer steps on training samples, and estimates what a run needs."""
