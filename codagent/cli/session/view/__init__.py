"""What a person sees: words, calls, edits, and a status line."""
