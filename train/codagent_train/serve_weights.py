"""What is served: a base, and adapters that are put on it and taken off while it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.truncate import harmless
from codagent_train import recipe
from codagent_train.folder import refuse_unreadable
from codagent_train.policy import Policy, pretrained
from codagent_train.serve_adapter import load, lora
from codagent_train.serve_source import base_of, located


class Weights:
    """A base called `base`, and its adapters by name. Only one thread may read with it, or change it."""

    def __init__(self, policy: Policy, base: str) -> None:
        self.policy, self.base = policy, base
        self._bare: Any = policy.model.eval()
        self._dressed: Any = None  # with adapters on it
        self._adapters: dict[str, str] = {}  # under names that peft takes: without dots, and never the same twice
        self._count = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The latest adapter first, the base last."""
        return (*reversed(list(self._adapters)), self.base)

    def add(self, name: str, folder: Path) -> None:
        """Serve the adapter in the folder, too. UsageError for a name that is taken, and for what is no adapter of this base."""
        from peft import PeftModel

        if name in self.names:
            raise UsageError(f"the name {name} has already been loaded; give each adapter a name of its own")
        if not _same(of := base_of(folder), self.base):
            raise UsageError(
                f"the adapter in {folder} is for {harmless(of[:100])}, not for {self.base}; serve that one, or train on this one"
            )
        with refuse_unreadable(f"the adapter in {folder} cannot be served", "give the folder of a checkpoint"):
            settings = lora(folder)
        inner = f"adapter{self._count}"
        self._count += 1
        before = [(module, dict(module._modules)) for module in self._bare.modules()]
        try:
            with refuse_unreadable(f"the adapter in {folder} does not fit {self.base}", "train one on this base, or serve its own"):
                if self._dressed is None:
                    self._dressed = PeftModel(self._bare, settings, adapter_name=inner)
                else:
                    self._dressed.add_adapter(inner, settings)
                load(self._dressed, folder, inner)
                self._dressed.eval()
        except UsageError:
            self._put_back(before, inner)
            raise
        self._adapters[name] = inner

    def drop(self, name: str) -> None:
        """UsageError when there is no such adapter."""
        if name not in self._adapters:
            raise UsageError(f"there is no adapter {name}; there are {', '.join(self._adapters) or 'none'}")
        self._take_off(self._adapters.pop(name))

    def read(self, name: str, given: dict[str, Any]) -> Any:
        """What the model called `name` makes of it."""
        if self._dressed is None:
            return self._bare(**given)
        if name == self.base:
            with self._dressed.disable_adapter():
                return self._dressed(**given)
        if self._dressed.active_adapter != self._adapters[name]:
            self._dressed.set_adapter(self._adapters[name], inference_mode=True)
        return self._dressed(**given)

    def _take_off(self, inner: str) -> None:
        if self._adapters:
            self._dressed.set_adapter(next(iter(self._adapters.values())), inference_mode=True)
            self._dressed.delete_adapter(inner)
        else:
            self._bare, self._dressed = self._dressed.unload(), None

    def _put_back(self, before: Sequence[tuple[Any, dict[str, Any]]], inner: str) -> None:
        """Make of the model what it was before an adapter was put on it, however far that came."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for module, parts in before:
            module._modules.clear()
            module._modules.update(parts)
        if not self._adapters:
            self._dressed = None
            vars(self._bare).pop("peft_config", None)
            return
        self._dressed.peft_config.pop(inner, None)
        self._dressed.set_adapter(next(iter(self._adapters.values())), inference_mode=True)
        for module, _ in before:
            if isinstance(module, BaseTunerLayer):
                module.delete_adapter(inner)


class Worn:
    """A causal language model: the weights under one of their names."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name

    @property
    def device(self) -> Any:
        return self._weights.policy.model.device

    def __call__(self, **given: Any) -> Any:
        return self._weights.read(self._name, given)


def opened(source: str) -> Weights:
    """The weights in a folder, or of the hub; of a run, of its last checkpoint; of an adapter its base, too. UsageError for others."""
    import torch

    found = located(source)
    asked = recipe.Policy(weights=found.base, device="cuda" if torch.cuda.is_available() else "cpu")
    policy = pretrained(asked)
    policy.model.to(asked.device)
    weights = Weights(policy, found.base)
    if found.adapter:
        weights.add(found.name, found.adapter)
    return weights


def _same(one: str, other: str) -> bool:
    try:
        return one == other or Path(one).samefile(other)
    except (OSError, ValueError):  # one of them is no file
        return False
