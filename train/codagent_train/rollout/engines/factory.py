"""Makes the engine that a recipe names."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codagent_train.policy.load import Policy
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.engines.engine import Engine
from codagent_train.run_dir import checkpoints
from codagent_train.run_dir.weights_ref import WeightsRef

EngineAtStep = Callable[[Any, int], Engine]  # takes the model and the number of the step; the engine samples from the model as it is then


class EngineSchedule:
    """The engine of each step of a run: it is made anew when its weights would be too old."""

    def __init__(self, make: EngineAtStep, staleness: int, *, copies: bool) -> None:
        """The weights that are sampled from are at most `staleness` steps older than those of the step.

        `copies`: the engine samples from the model that it is given, so an engine that is kept gets a copy of it. Every process of a run
        must ask in every step.
        """
        self._make, self._staleness, self._copies = make, staleness, copies and staleness > 0
        self._made: tuple[Engine, int] | None = None

    def engine_at(self, model: Any, step: int) -> tuple[Engine, int]:
        """Return the engine for a step, and the step whose weights it samples from. After a resumption these are the present ones."""
        if self._made is None or step - self._made[1] > self._staleness:
            sampled = copy.deepcopy(model).requires_grad_(False) if self._copies else model
            self._made = self._make(sampled, step), step
        return self._made


def schedule_engines(recipe: Recipe, policy: Policy, out: Path) -> EngineSchedule:
    """Return the engines of a run's steps. `out` is the folder of the run."""
    return EngineSchedule(engine_for(recipe, policy, out), recipe.engine.staleness, copies=recipe.engine.name != "vllm")


def engine_for(recipe: Recipe, policy: Policy, out: Path) -> EngineAtStep:
    """Return what makes an engine from the model as it is at a step. `out` is the folder of the run."""
    if recipe.engine.name == "vllm":
        return _vllm_engines(recipe.engine.servers, policy.ends, out)
    if recipe.engine.name == "continuous":
        from codagent_train.rollout.engines.continuous import ContinuousEngine

        return lambda model, _: ContinuousEngine(model, ends=policy.ends)
    from codagent_train.rollout.engines.transformers_loop import LocalEngine

    return lambda model, _: LocalEngine(model, pad=policy.pad, ends=policy.ends)


def open_engine(recipe: Recipe, policy: Policy, weights: WeightsRef) -> Engine:
    """Return the recipe's engine for weights that are not trained. A vLLM server must already serve their base.

    An adapter is given to the server. The policy of a vLLM engine needs no model. Raises ModelError when the server refuses.
    """
    if recipe.engine.name == "vllm":
        from codagent_train.rollout.engines.vllm import VllmEngine

        server = VllmEngine(*recipe.engine.servers, ends=policy.ends, model="" if weights.adapter else weights.base)
        if weights.adapter:
            server.publish(weights.adapter, f"{weights.name}-{hash_adapter(weights.adapter)}")
        return server
    return engine_for(recipe, policy, Path())(policy.model.to(recipe.policy.device), 0)


def _vllm_engines(urls: Sequence[str], ends: frozenset[int], out: Path) -> EngineAtStep:
    """Return what gives a step's adapter to the server and makes an engine that samples from it.

    When several processes train together, they hold the same weights: the main process publishes the adapter and tells the others its name.
    Every process must therefore call this in every step.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    from codagent_train.rollout.engines.vllm import VllmEngine

    server, folder = VllmEngine(*urls, ends=ends), checkpoints.unfinished_dir(out) / "adapter"

    def publish_step(model: Any, step: int) -> Engine:
        if PartialState().is_main_process:
            model.save_pretrained(folder)
            server.publish(folder, f"{out.resolve().name}@{step}-{hash_adapter(folder)}")
        name = [server.model]
        broadcast_object_list(name)
        server.model = name[0]
        return server

    return publish_step


def hash_adapter(folder: Path) -> str:
    """Return a hash of the adapter in the folder: 12 hexadecimal digits.

    It is a part of the adapter's name on the server. A run that is started again under the same name thus never uses the old run's adapter.
    """
    files = (folder / name for name in ("adapter_config.json", "adapter_model.safetensors"))
    parts = "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return hashlib.sha256(parts.encode()).hexdigest()[:12]
