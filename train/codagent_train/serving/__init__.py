"""An OpenAI-compatible server over trained weights."""
