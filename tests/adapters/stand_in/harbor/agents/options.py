"""As harbor.agents.options."""

from pydantic import BaseModel, ConfigDict


class AgentOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    base_url: str | None = None
    disable_web_search: bool = False
    reasoning_effort: str | None = None
