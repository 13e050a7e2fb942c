"""The prompt-toolkit session and the live display."""
