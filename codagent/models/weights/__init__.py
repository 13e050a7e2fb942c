"""Weights that codagent knows by name: which there are, how each model is best worked with, and where they are downloaded from."""
