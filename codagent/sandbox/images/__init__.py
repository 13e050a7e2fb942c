"""Images for sandboxes: the shipped ones, and those that a repository sets up."""
