"""Tasks made out of repositories: one bug at a time is put into code whose tests pass."""
