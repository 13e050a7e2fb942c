"""Models that run on this machine: which there are, how each is best worked with, where their weights come from, and how they are asked."""
