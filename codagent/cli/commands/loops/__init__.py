"""Loops, one or many: a task, a group, task files, and the instances of a benchmark."""
