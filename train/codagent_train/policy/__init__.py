"""The policy: its weights, its tokenizer, and the text of its conversations."""
