"""What all domains share: turns, draws of a pack, and the players that need no model."""
