"""What is served: a base, and adapters that are put on it and taken off while it is."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train import checkpoint, recipe
from codagent_train.policy import Policy, pretrained

_CONFIG, _TENSORS = "adapter_config.json", "adapter_model.safetensors"


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
        from peft import PeftConfig, PeftModel

        if name in self.names:
            raise UsageError(f"the name {name} has already been loaded; give each adapter a name of its own")
        if not _same(of := base_of(folder), self.base):
            raise UsageError(f"the adapter in {folder} is for {of}, not for {self.base}; serve that one, or train on this one")
        inner = f"adapter{self._count}"
        self._count += 1
        try:
            if self._dressed is None:
                self._dressed = PeftModel(self._bare, PeftConfig.from_pretrained(str(folder)), adapter_name=inner)
            self._dressed.load_adapter(str(folder), inner)
            self._dressed.eval()
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            self._take_off(inner)
            raise UsageError(f"the adapter in {folder} does not fit {self.base}: {str(error).strip().splitlines()[0]}") from error
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
        if self._dressed is None:
            return
        if self._adapters:
            self._dressed.set_adapter(next(iter(self._adapters.values())), inference_mode=True)
            with suppress(ValueError):  # it never came as far
                self._dressed.delete_adapter(inner)
        else:
            self._bare, self._dressed = self._dressed.unload(), None


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

    folder = _checkpoint(Path(source))
    is_adapter = (folder / _CONFIG).exists()
    base = base_of(folder) if is_adapter else source if folder == Path(source) else str(folder)
    asked = recipe.Policy(weights=base, device="cuda" if torch.cuda.is_available() else "cpu")
    policy = pretrained(asked)
    policy.model.to(asked.device)
    weights = Weights(policy, base)
    if is_adapter:
        weights.add(_name(folder), folder)
    return weights


def base_of(folder: Path) -> str:
    """The base that an adapter was trained on. UsageError when the folder holds none that says so."""
    try:
        found = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"there is no adapter in {folder}: no {_CONFIG} that names its base; give the folder of a checkpoint") from None
    if not (folder / _TENSORS).is_file():
        raise UsageError(f"there are no weights in {folder}: no {_TENSORS}; give the folder of a checkpoint")
    return str(found)


def _same(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))


def _checkpoint(folder: Path) -> Path:
    if not checkpoint.is_run(folder):
        return folder
    if (last := checkpoint.latest(folder)) is None:
        raise UsageError(f"the run in {folder} has no checkpoint yet; wait for its first")
    return last


def _name(folder: Path) -> str:
    if checkpoint.is_checkpoint(folder):
        return f"{folder.resolve().parent.name}@{checkpoint.step_of(folder)}"
    return folder.resolve().name
