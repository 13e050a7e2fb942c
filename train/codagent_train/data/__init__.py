"""From loops to training samples; knows nothing of torch."""
