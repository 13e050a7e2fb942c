"""Which engine serves a run, by its recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codagent_train.policy.load import Policy
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.engines.engine import Engine
from codagent_train.run_dir import checkpoints

EngineAtStep = Callable[[Any, int], Engine]  # what samples by the model that is given, as it stands in the step of that number


def engine_for(recipe: Recipe, policy: Policy, out: Path) -> EngineAtStep:
    """The engine of each step of the run in the folder `out`."""
    if recipe.engine.name == "vllm":
        return _vllm_engines(recipe.engine.url, policy.ends, out)
    if recipe.engine.name == "continuous":
        from codagent_train.rollout.engines.continuous import ContinuousEngine

        return lambda model, _: ContinuousEngine(model, ends=policy.ends)
    from codagent_train.rollout.engines.transformers_loop import LocalEngine

    return lambda model, _: LocalEngine(model, pad=policy.pad, ends=policy.ends)


def _vllm_engines(url: str, ends: frozenset[int], out: Path) -> EngineAtStep:
    """Of several processes, which hold the same weights, the first gives them to the server."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    from codagent_train.rollout.engines.vllm import VllmEngine

    server, folder = VllmEngine(url, ends=ends), checkpoints.unfinished_dir(out) / "adapter"

    def at(model: Any, step: int) -> Engine:
        if PartialState().is_main_process:
            model.save_pretrained(folder)
            server.publish(folder, f"{out.resolve().name}@{step}-{hash_adapter(folder)}")
        name = [server.model]
        broadcast_object_list(name)
        server.model = name[0]
        return server

    return at


def hash_adapter(folder: Path) -> str:
    """What tells the adapters in two folders apart, so that a run begun anew under an old name is not taken for the old one."""
    files = (folder / name for name in ("adapter_config.json", "adapter_model.safetensors"))
    parts = "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return hashlib.sha256(parts.encode()).hexdigest()[:12]
