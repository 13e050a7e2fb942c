"""Terminal domains. Nothing is executed: file systems and commands are simulated."""
