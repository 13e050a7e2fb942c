"""Models that a server answers for: any OpenAI-compatible one, llama.cpp, and every provider that litellm knows."""
