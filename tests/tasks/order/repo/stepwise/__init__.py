"""Runs steps after the steps that they need."""

from .errors import CycleError, StepError, UnknownStepError
from .ordering import order
from .running import run
from .spec import parse

__all__ = ["CycleError", "StepError", "UnknownStepError", "order", "parse", "run"]
