"""Which words of providers mean that the model, or a filter around it, refuses to answer, or that it can be offered no tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codagent.text import first_line

_SAID = 200  # characters of what the provider says
_FINISHES = {
    *("refusal", "content_filter", "content_filtered"),  # Anthropic, OpenAI, Azure; litellm calls all of the others content_filter
    *("safety", "recitation", "language", "blocklist", "prohibited_content", "spii"),  # Gemini
    *("guardrail_intervened", "sensitive", "error_toxic"),  # Bedrock, Zhipu, Cohere
}
_PHRASES = (
    "content_filter",
    "content_policy_violation",
    "contentpolicyviolation",
    "content filtering policy",
    "content management policy",
    "violating our usage policy",
    "input was flagged",
    "data_inspection_failed",
    "content exists risk",
)
# As Ollama, OpenRouter, vLLM, llama.cpp and `codagent-train serve` say it.
_NO_TOOLS = re.compile(
    r"not support (?:tools?\b|function calling)|support tool use|requires --(?:enable-auto-tool-choice|jinja)|shows it no tools"
)


def find_refusal(finish: str | None, message: Mapping[str, Any]) -> str:
    """Return the category of a refusal, and what the provider says of it; "": it is none.

    `finish` is the provider's word for why the answer ended. Of `message` these fields are read: `refusal` (OpenAI), `stop_details` in
    `provider_specific_fields` (Anthropic through litellm) and `content_filter_results` (Azure).
    """
    word = re.match(r"\w+", finish or "")
    refused = word is not None and word[0].lower() in _FINISHES
    said = message.get("refusal")
    if not refused and not said:
        return ""
    native = _table(message, "provider_specific_fields")
    details, filters = _table(native, "stop_details"), _table(message, "content_filter_results")
    category = str(native.get("stop_reason") or (finish if refused else "refusal"))
    kinds = [str(details["category"])] if details.get("category") else [name for name in filters if _table(filters, name).get("filtered")]
    kind = f" ({', '.join(kinds)})" if kinds else ""
    return f"{category}{kind}{f': {first_line(said, _SAID)}' if isinstance(said, str) and said.strip() else ''}"


def is_refusal(text: str) -> bool:
    """Whether the text of an error, in lower case, says that a filter refused the request or the answer."""
    return any(phrase in text for phrase in _PHRASES)


def refuses_tools(text: str) -> bool:
    """Whether the text of an error says that the model can be offered no tools."""
    return bool(_NO_TOOLS.search(text.lower()))


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}
