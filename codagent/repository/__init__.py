"""The environment of a git repository: the tools, the first message, git itself, and the gates that judge the work."""
