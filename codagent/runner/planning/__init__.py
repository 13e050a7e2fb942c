"""What comes next in a loop: the next task, or why there is none."""
