"""What is served: a base, and adapters that are put on it and taken off while it is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.policy.load import Policy, load_pretrained
from codagent_train.recipe import schema
from codagent_train.run_dir.weights_ref import WeightsRef, read_base


class AdapterPool:
    """A base called `base`, and its adapters by name. Only one thread may read with it, or change it."""

    def __init__(self, policy: Policy, base: str) -> None:
        self.policy, self.base = policy, base
        self._base: Any = policy.model.eval()
        self._peft: Any = None  # with adapters on it
        self._inner_names: dict[str, str] = {}  # under names that peft takes: without dots, and never the same twice
        self._count = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The latest adapter first, the base last."""
        return (*reversed(list(self._inner_names)), self.base)

    def add(self, name: str, folder: Path) -> None:
        """Serve the adapter in the folder, too. UsageError for a name that is taken, and for what is no adapter of this base."""
        from peft import PeftConfig, PeftModel

        if name in self.names:
            raise UsageError(f"the name {name} has already been loaded; give each adapter a name of its own")
        if not _same_base(of := read_base(folder), self.base):
            raise UsageError(f"the adapter in {folder} is for {of}, not for {self.base}; serve that one, or train on this one")
        inner = f"adapter{self._count}"
        self._count += 1
        try:
            if self._peft is None:
                self._peft = PeftModel(self._base, PeftConfig.from_pretrained(str(folder)), adapter_name=inner)
            self._peft.load_adapter(str(folder), inner)
            self._peft.eval()
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            self._remove(inner)
            raise UsageError(f"the adapter in {folder} does not fit {self.base}: {str(error).strip().splitlines()[0]}") from error
        self._inner_names[name] = inner

    def drop(self, name: str) -> None:
        """UsageError when there is no such adapter."""
        if name not in self._inner_names:
            raise UsageError(f"there is no adapter {name}; there are {', '.join(self._inner_names) or 'none'}")
        self._remove(self._inner_names.pop(name))

    def forward(self, name: str, inputs: dict[str, Any]) -> Any:
        """What the model called `name` makes of it."""
        if self._peft is None:
            return self._base(**inputs)
        if name == self.base:
            with self._peft.disable_adapter():
                return self._peft(**inputs)
        if self._peft.active_adapter != self._inner_names[name]:
            self._peft.set_adapter(self._inner_names[name], inference_mode=True)
        return self._peft(**inputs)

    def _remove(self, inner: str) -> None:
        if self._peft is None:
            return
        if self._inner_names:
            self._peft.set_adapter(next(iter(self._inner_names.values())), inference_mode=True)
            with suppress(ValueError):  # it never came as far
                self._peft.delete_adapter(inner)
        else:
            self._base, self._peft = self._peft.unload(), None


class NamedModel:
    """A causal language model: the weights under one of their names."""

    def __init__(self, weights: AdapterPool, name: str) -> None:
        self._weights, self._name = weights, name

    @property
    def device(self) -> Any:
        return self._weights.policy.model.device

    def __call__(self, **given: Any) -> Any:
        return self._weights.forward(self._name, given)


def open_weights(ref: WeightsRef) -> AdapterPool:
    """Load the full model, and the adapter where there is one. Raises UsageError when they cannot be loaded."""
    import torch

    config = schema.PolicyConfig(weights=ref.base, device="cuda" if torch.cuda.is_available() else "cpu")
    policy = load_pretrained(config)
    policy.model.to(config.device)
    pool = AdapterPool(policy, ref.base)
    if ref.adapter:
        pool.add(ref.name, ref.adapter)
    return pool


def _same_base(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))
