"""Which words of providers mean that the model, or a filter around it, refuses to answer."""

from __future__ import annotations

import re

ADVICE = "say the task in other words, or take another model"
_FINISHES = {
    *("refusal", "content_filter", "content_filtered"),  # Anthropic, OpenAI, Azure; litellm calls most of the others content_filter
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


def find_refusal(finish: str | None, provider: str = "") -> str:
    """Return the category of a refusal from a server's word for why its answer ended; "": it did not refuse.

    `provider` is that of a litellm name: litellm writes `content_filter` for the `refusal` of Anthropic. "": the word is the server's own.
    """
    first = re.match(r"\w+", finish or "")
    if finish is None or first is None or first[0].lower() not in _FINISHES:
        return ""
    return "refusal" if provider == "anthropic" else finish


def is_refusal(text: str) -> bool:
    """Whether the text of an error, in lower case, says that a filter refused the request or the answer."""
    return any(phrase in text for phrase in _PHRASES)
