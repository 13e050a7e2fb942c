"""The commands: their flags, what they call, and what they print."""
