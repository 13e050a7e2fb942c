"""Recipes: TOML files that say all of a training run."""
