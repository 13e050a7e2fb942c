"""Commands in a Docker container: the client of the engine, the container, and the shell in it that runs the commands."""
