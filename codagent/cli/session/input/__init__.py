"""What a person types: the input line, in a thread of its own, and what it prints above itself."""
