"""Models in this process that all loops of a command ask: each is loaded once, and serves the loops side by side."""

from __future__ import annotations

from threading import Lock
from typing import Any

from codagent.protocols import Model, OnText, ignore_text
from codagent.runner.model import Access, find_price, find_profile, find_target, open_model, takes_memory
from codagent.runner.spec import OpenedModel
from codagent.settings.settings import Settings
from codagent.types import Message, Profile, Reply, Sampling, Tool


class SharedModels:
    """Opens models. One that takes memory here is kept until `close`; its loops may differ in all but the room for their context."""

    def __init__(self, at_once: int) -> None:
        """`at_once` loops ask side by side."""
        self._at_once, self._lock = at_once, Lock()
        self._kept: dict[tuple[str, int], Model] = {}

    def open(self, settings: Settings, access: Access, profile: Profile | None = None, **rest: Any) -> OpenedModel:
        """Open the model that the settings name, as `open_model` does, whose options `rest` are; or hand out the one that is open.

        From any thread.
        """
        if not takes_memory(settings):
            return open_model(settings, access, profile, **rest)
        chosen = profile or find_profile(settings, access)
        key = (find_target(settings), chosen.context_tokens)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = open_model(settings, access, chosen, **{**rest, "at_once": self._at_once}).model
            return OpenedModel(_Lent(self._kept[key]), chosen, find_price(settings))

    def close(self) -> None:
        """Close the models. No loop may ask them any more."""
        for model in self._kept.values():
            model.close()


class _Lent:
    """A Model that stays open when it is closed, for the others."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        return self._model.reply(messages, tools, sampling, on_text)

    def close(self) -> None:
        """Do nothing."""
