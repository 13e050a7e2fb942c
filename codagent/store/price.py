"""What a model's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one token."""

    prompt_usd: float
    completion_usd: float
    cached_usd: float | None = None  # of a prompt, read from the provider's cache; None: as any other
    highest_prompt_usd: float = 0.0  # what a token of a prompt may cost at most, in a long prompt or written into a cache; 0: `prompt_usd`
    highest_completion_usd: float = 0.0  # the same for a reply; 0: `completion_usd`

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Return what a reply costs. `cached_tokens` of the prompt were read from the provider's cache."""
        cached_usd = self.prompt_usd if self.cached_usd is None else self.cached_usd
        prompt_usd = (prompt_tokens - cached_tokens) * self.prompt_usd + cached_tokens * cached_usd
        return prompt_usd + completion_tokens * self.completion_usd

    def highest(self) -> Price:
        """Return the price that no reply passes."""
        return Price(self.highest_prompt_usd or self.prompt_usd, self.highest_completion_usd or self.completion_usd)
