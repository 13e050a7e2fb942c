"""The kinds of values that recipes have, beside those of other TOML files."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from msgspec import Meta

from codagent.settings.toml import LARGEST

WholeOrZero = Annotated[int, Meta(ge=0, le=LARGEST, description="a whole number, 0 or above")]
Weight = Annotated[float, Meta(ge=0, le=sys.float_info.max, description="a number, 0 or above")]
Staleness = Annotated[int, Meta(ge=0, le=20, description="a whole number from 0 to 20")]
Share = Annotated[float, Meta(ge=0, lt=1, description="a number from 0 to below 1")]
ReturnsName = Literal["paper", "own", "one_sum", "windowed", "discounted"]
NotesBaselineName = Literal["group", "without_notes"]
BaselineName = Literal["mean", "leave_one_out"]
Balance = Literal["packs", "tokens"]
Scope = Literal["batch", "environment"]
Schedule = Literal["constant", "linear"]
DeviceName = Literal["cpu", "cuda"]
AnswersName = Literal["functions", "lines"]
EngineName = Literal["local", "continuous", "vllm"]
