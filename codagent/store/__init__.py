"""What a loop leaves on disk: where it lies, how it is written, and how it is read again."""
