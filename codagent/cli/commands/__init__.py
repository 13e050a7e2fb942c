"""The commands: what each takes, what it calls, and what it prints."""
