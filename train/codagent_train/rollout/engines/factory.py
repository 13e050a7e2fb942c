"""Makes the engine that a recipe names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codagent_train.policy.load import Policy
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.engines.engine import Engine
from codagent_train.rollout.engines.past_weights import PastWeightsEngine, Weights, copy_weights
from codagent_train.run_dir import checkpoints
from codagent_train.run_dir.weights_ref import WeightsRef

EngineAtStep = Callable[[Any, int], Engine]  # takes the model and the number of the step; the engine samples from the model as it is then


class EngineSchedule:
    """The engine of each step of a run, with weights that are no older than the recipe says. Every process must ask in every step."""

    def __init__(self, make: EngineAtStep, staleness: int, *, remote: bool) -> None:
        """The weights that are sampled from are at most `staleness` steps older than those of the step.

        `remote`: the engine has weights of its own, which `make` gives it. Else it samples from the model itself.
        """
        self._make, self._staleness, self._remote = make, staleness, remote
        self._sampled: int | None = None  # the step whose weights are sampled from; None: there was no step yet
        self._engine: Engine | None = None
        self._past: Weights = {}

    def engine_at(self, model: Any, step: int) -> tuple[Engine, int]:
        """Return the engine for a step, and the step whose weights it samples from. After a resumption these are the present ones."""
        if self._sampled is None or step - self._sampled > self._staleness:
            self._sampled, self._engine = step, None
            self._past = copy_weights(model) if self._staleness and not self._remote else {}
        if self._engine is None or not self._remote:
            self._engine = self._make(model, step)
        kept = step > self._sampled and not self._remote
        return PastWeightsEngine(self._engine, model, self._past) if kept else self._engine, self._sampled


def schedule_engines(recipe: Recipe, policy: Policy, out: Path) -> EngineSchedule:
    """Return the engines of a run's steps. `out` is the folder of the run."""
    return EngineSchedule(engine_for(recipe, policy, out), recipe.engine.staleness, remote=recipe.engine.name == "vllm")


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
