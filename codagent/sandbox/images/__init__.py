"""From a definition to an image: shipped ones, and what a repository sets up."""
