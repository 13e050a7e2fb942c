"""Where commands run: a Docker container, or, on request, this machine."""
