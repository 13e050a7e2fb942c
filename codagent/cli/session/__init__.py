"""A session on a terminal: a person types, sees what the agent says and does, and decides what to keep."""
