"""Commands in a Docker container: the engine, the container, and the shell in it that is asked."""
