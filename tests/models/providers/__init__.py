"""Imitations of model providers, as strict as their documentation and their public error reports say. No real provider is asked."""

from __future__ import annotations

from dataclasses import dataclass

from tests.models.providers.anthropic import Anthropic
from tests.models.providers.chat import DeepSeek, Moonshot, OpenRouter
from tests.models.providers.double import Double
from tests.models.providers.gemini import Gemini
from tests.models.providers.ollama import Ollama
from tests.models.providers.openai import OpenAI


@dataclass(frozen=True)
class Provider:
    """An imitation, and how the command is led to it."""

    double: type[Double]
    variable: str  # of the environment, with the address
    path: str  # after the address
    key: str  # the variable with the key
    wants: str  # what has to come back, for people

    def environment(self, url: str) -> dict[str, str]:
        return {self.variable: url + self.path, self.key: "k"}


_OPENAI = Provider(OpenAI, "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY", "`/v1/responses`; each call's answer")
# by the name that a person types
PROVIDERS = {
    "anthropic/claude-opus-5-5": Provider(Anthropic, "ANTHROPIC_API_BASE", "", "ANTHROPIC_API_KEY", "thinking blocks with signatures"),
    "openai/gpt-5.6": _OPENAI,
    "openai/gpt-6.1-sol": _OPENAI,
    "gemini/gemini-3.8-flash": Provider(Gemini, "GEMINI_API_BASE", "", "GEMINI_API_KEY", "signatures of calls"),
    "deepseek/deepseek-v4-pro": Provider(DeepSeek, "DEEPSEEK_API_BASE", "/v1", "DEEPSEEK_API_KEY", "`reasoning_content`"),
    "moonshot/kimi-k3": Provider(Moonshot, "MOONSHOT_API_BASE", "/v1", "MOONSHOT_API_KEY", "`reasoning_content`"),
    "openrouter/deepseek/deepseek-v4-pro": Provider(
        OpenRouter, "OPENROUTER_API_BASE", "/v1", "OPENROUTER_API_KEY", "`reasoning_details` with signatures"
    ),
    "ollama/qwen3": Provider(Ollama, "OLLAMA_API_BASE", "", "OLLAMA_API_KEY", "arguments as objects"),
}
