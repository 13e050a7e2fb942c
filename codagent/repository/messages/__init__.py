"""What a model is told besides the answers of its tools: its first message with instructions and files, and what follows a reply."""
