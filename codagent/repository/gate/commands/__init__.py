"""What the commands of checks call."""
