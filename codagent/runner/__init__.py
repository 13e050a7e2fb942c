"""The application: one loop, a group, a resume or a branch, from what was asked for to a result. Prints nothing."""
