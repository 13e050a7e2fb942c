"""What other programs speak: formats that they read, and frameworks that run codagent."""
