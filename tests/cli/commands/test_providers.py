"""The installed command against strict imitations of the providers, from the first request to the commit."""

import json

import pytest

from tests.cli.conftest import CHECK
from tests.models.providers import anthropic, chat, gemini, ollama, openai
from tests.models.providers.double import serve, steps

LOCAL = ("--sandbox", "local")
# the name that a person types; the imitation; how litellm is led to it; the variable of the key
PROVIDERS = {
    "anthropic/claude-opus-5-5": (anthropic.Anthropic, "ANTHROPIC_API_BASE", "", "ANTHROPIC_API_KEY"),
    "openai/gpt-5.6": (openai.OpenAI, "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "openai/gpt-6.1-sol": (openai.OpenAI, "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "gemini/gemini-3.8-flash": (gemini.Gemini, "GEMINI_API_BASE", "", "GEMINI_API_KEY"),
    "deepseek/deepseek-v4-pro": (chat.DeepSeek, "DEEPSEEK_API_BASE", "/v1", "DEEPSEEK_API_KEY"),
    "moonshot/kimi-k3": (chat.Moonshot, "MOONSHOT_API_BASE", "/v1", "MOONSHOT_API_KEY"),
    "openrouter/deepseek/deepseek-v4-pro": (chat.OpenRouter, "OPENROUTER_API_BASE", "/v1", "OPENROUTER_API_KEY"),
    "ollama/qwen3": (ollama.Ollama, "OLLAMA_API_BASE", "", "OLLAMA_API_KEY"),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_run_of_twelve_steps_is_taken_by_each_provider(codagent, repository, name):
    double_class, base, path, key = PROVIDERS[name]
    double = double_class(steps(12))
    with serve(double) as url:
        environment = {base: url + path, key: "k"}
        done = codagent("run", "mend it", "--check", CHECK, "--model", name, "--json", *LOCAL, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert (told["outcome"], len(double.sent)) == ("passed", 12)
    assert "LiteLLM" not in done.stderr + done.stdout
    print(name, f"{double.sent[9].share:.2f}", told)
