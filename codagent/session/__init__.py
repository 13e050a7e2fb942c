"""A conversation about a repository: one context and one sandbox over many turns, on record like any loop. Knows of no terminal."""
