"""How tool calls are written for a model and read out of its reply, whatever its format."""
