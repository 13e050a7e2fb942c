"""The bugs that can be put into a Python file."""
