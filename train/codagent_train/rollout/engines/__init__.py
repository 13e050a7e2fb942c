"""Engines, which sample the replies of many loops at once. The recipe names the engine."""
