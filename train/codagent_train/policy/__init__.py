"""The policy that is trained: its weights, its tokenizer, and the text of its conversations."""
