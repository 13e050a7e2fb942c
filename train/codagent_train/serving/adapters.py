"""A base model and the adapters on it, which are added and removed while the server runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codagent.errors import ModelError, UsageError
from codagent.text import sanitize
from codagent_train.files import refuse_unreadable
from codagent_train.policy.load import Policy, load_pretrained
from codagent_train.policy.lora import load_lora, read_lora_config
from codagent_train.recipe import schema
from codagent_train.run_dir.checkpoints import load_recipe
from codagent_train.run_dir.weights_ref import WeightsRef, read_base


class AdapterPool:
    """A base model and any number of adapters, each under a name. Only one thread may run the model or change the adapters."""

    def __init__(self, policy: Policy, base: str) -> None:
        self.policy = policy
        self.base = base  # the name of the model without an adapter
        self._base: Any = policy.model.eval()
        self._peft: Any = None  # the base with all adapters on it; None: there is no adapter
        self._peft_names: dict[str, str] = {}  # by name; peft takes no dots, and a name is never used for two adapters
        self._count = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a request may give: the latest adapter first, the base last."""
        return (*reversed(list(self._peft_names)), self.base)

    def add(self, name: str, folder: Path) -> None:
        """Add the adapter in `folder`. When this fails, the model is what it was before.

        Raises UsageError when the name is taken, or the folder does not hold an adapter that fits this base.
        """
        if name in self.names:
            raise UsageError(f"the name {name} has already been loaded; give each adapter a name of its own")
        if not _is_same_base(base := read_base(folder), self.base):
            raise UsageError(
                f"the adapter in {folder} is for {sanitize(base[:100])}, not for {self.base}; serve that one, or train on this one"
            )
        with refuse_unreadable(f"the adapter in {folder} cannot be served", "give the folder of a checkpoint"):
            config = read_lora_config(folder)
        peft_name = f"adapter{self._count}"
        self._count += 1
        before = [(module, dict(module._modules)) for module in self._base.modules()]
        try:
            with refuse_unreadable(f"the adapter in {folder} does not fit {self.base}", "train one on this base, or serve its own"):
                self._put_on(peft_name, folder, config)
        except UsageError:
            self._restore(before, peft_name)
            raise
        self._peft_names[name] = peft_name

    def drop(self, name: str) -> None:
        """Remove an adapter. Raises UsageError when there is none of that name."""
        if name not in self._peft_names:
            raise UsageError(f"there is no adapter {name}; there are {', '.join(self._peft_names) or 'none'}")
        peft_name = self._peft_names.pop(name)
        if self._peft_names:
            self._activate_any()
            self._peft.delete_adapter(peft_name)
        else:
            self._base, self._peft = self._peft.unload(), None

    def forward(self, name: str, inputs: dict[str, Any]) -> Any:
        """Run the model under one of its names. Raises ModelError when the adapter of that name was removed."""
        if name not in self.names:
            raise ModelError(f"the model {name} is gone")
        if self._peft is None:
            return self._base(**inputs)
        if name == self.base:
            with self._peft.disable_adapter():
                return self._peft(**inputs)
        if self._peft.active_adapter != self._peft_names[name]:
            self._peft.set_adapter(self._peft_names[name], inference_mode=True)
        return self._peft(**inputs)

    def _put_on(self, peft_name: str, folder: Path, config: Any) -> None:
        """Put an adapter on the model, and try it with two tokens.

        Raises ValueError when the model then computes no numbers, and whatever peft and torch raise when the adapter does not fit. The
        model is then changed in part.
        """
        import torch
        from peft import PeftModel

        if self._peft is None:
            self._peft = PeftModel(self._base, config, adapter_name=peft_name)
        else:
            self._peft.add_adapter(peft_name, config)
        load_lora(self._peft, folder, peft_name)
        self._peft.eval()
        self._peft.set_adapter(peft_name, inference_mode=True)
        with torch.inference_mode():
            logits = self._peft(input_ids=torch.zeros((1, 2), dtype=torch.long, device=self._peft.device)).logits
        if not (logits < torch.inf).all():  # also where a logit is NaN
            raise ValueError("with it, the model computes NaN or infinity")

    def _restore(self, before: Sequence[tuple[Any, dict[str, Any]]], peft_name: str) -> None:
        """Make the model what it was before `_put_on`, however far that came. `before` has the children of each module."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for module, children in before:
            module._modules.clear()
            module._modules.update(children)
        if not self._peft_names:
            self._peft = None
            vars(self._base).pop("peft_config", None)
            return
        self._peft.peft_config.pop(peft_name, None)
        self._activate_any()
        for module, _ in before:
            if isinstance(module, BaseTunerLayer):
                module.delete_adapter(peft_name)

    def _activate_any(self) -> None:
        """Make an adapter that stays the active one: peft would choose another by itself, and make it trainable."""
        self._peft.set_adapter(next(iter(self._peft_names.values())), inference_mode=True)


class PoolModel:
    """One name of a pool, as a causal language model that can be called."""

    def __init__(self, pool: AdapterPool, name: str) -> None:
        self._pool, self._name = pool, name

    @property
    def device(self) -> Any:
        """The torch device of the weights."""
        return self._pool.policy.model.device

    def __call__(self, **inputs: Any) -> Any:
        return self._pool.forward(self._name, inputs)


def open_weights(ref: WeightsRef) -> AdapterPool:
    """Load the full model, and the adapter where there is one. Raises UsageError when they cannot be loaded."""
    import torch

    thinking = ref.run is None or load_recipe(ref.run).policy.enable_thinking
    config = schema.PolicyConfig(weights=ref.base, device="cuda" if torch.cuda.is_available() else "cpu", enable_thinking=thinking)
    policy = load_pretrained(config)
    policy.model.to(config.device)
    pool = AdapterPool(policy, ref.base)
    if ref.adapter:
        pool.add(ref.name, ref.adapter)
    return pool


def _is_same_base(one: str, other: str) -> bool:
    """Whether two texts name the same base: by the same text, or by two paths of one folder."""
    try:
        return one == other or Path(one).samefile(other)
    except (OSError, ValueError):  # one of them is not a path
        return False
