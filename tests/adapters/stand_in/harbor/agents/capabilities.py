"""As harbor.agents.capabilities."""

from pydantic import BaseModel, ConfigDict


class AgentCapabilities(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    base_url: bool = False
    atif: bool = False
    reasoning_effort: bool = False
