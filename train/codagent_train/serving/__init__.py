"""An OpenAI-compatible endpoint over what was trained."""
