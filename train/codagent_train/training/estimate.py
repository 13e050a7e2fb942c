"""Estimates what a run needs before it starts: memory, tokens, disk, time. The model is not loaded; its `ModelSize` is enough.

The activations that the backward pass needs are counted in outputs of the linear layers: 2.6 times their size, and 3.7 times with LoRA. The
factors and the share of the head were measured on SmolLM2-135M in float32; they hold within 3 % from 512 to 2,048 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path

from codagent.errors import UsageError
from codagent_train.data.records.row_lengths import RowLengths, measure_rows
from codagent_train.policy.size.model_size import ModelSize
from codagent_train.recipe.schema import PolicyConfig, Recipe
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS
from codagent_train.run_dir import checkpoints
from codagent_train.training import hardware
from codagent_train.training.step_work import Work, estimate_work

EXPECTED = 0.5  # an average episode takes this share of its turns, and an average reply this share of its `max_tokens`
_LIBRARIES = 600e6  # bytes of Python, torch and trl in memory
_KEPT, _KEPT_LORA = 2.6, 3.7  # bytes kept for the backward pass, over the bytes of the layers' outputs
_TILE_TOKENS, _TILE_WORDS = 4096, 32768  # trl's kernel computes the head in tiles of this size
_TILES = 9  # tiles of float32 that are in memory at a time, on a CPU
_DRAWN = 36  # bytes for each token of the vocabulary while a token is drawn


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a run needs, by use."""

    weights: float
    optimizer: float
    gradients: float
    playing: float  # playing and learning alternate, so only the larger one counts
    learning: float
    libraries: float

    @property
    def total(self) -> float:
        """The bytes at the peak."""
        return self.weights + self.optimizer + self.libraries + max(self.playing, self.gradients + self.learning)


def estimate_memory(recipe: Recipe, model: ModelSize, step: Work) -> Memory:
    """Estimate the memory of a run on the device of the recipe when its steps have so many tokens."""
    on_cpu, rank = recipe.policy.device == "cpu", recipe.policy.lora_rank
    size = 4 if on_cpu else 2  # bytes of a number that is computed with
    masters = 4 if rank == 0 and not on_cpu else 0  # weights that are trained are float32; a GPU computes with copies in bfloat16
    trained = count_trained_parameters(model, recipe.policy) * 4
    kept = (_KEPT_LORA if rank else _KEPT) * model.outputs * size * _share_of_layers(model, recipe.policy)
    if not on_cpu:  # gradient checkpointing keeps the inputs of all layers and the outputs of one
        kept = kept / model.layers + model.layers * model.hidden * size
    tile = min(step.microbatch, _TILE_TOKENS) * min(model.vocabulary, _TILE_WORDS) * (4 * _TILES if on_cpu else 8)
    together = max(step.longest, min(MAX_BATCH_TOKENS, step.loops * step.longest))
    layer = 3 * model.outputs / model.layers * size
    playing = together * (model.cached * size + layer) + step.loops * model.vocabulary * _DRAWN
    return Memory(
        weights=model.parameters * (size + masters),
        optimizer=2 * trained,  # AdamW's two moments, in the type of the trained weights
        gradients=trained,
        playing=0 if recipe.engine.name == "vllm" else playing,
        learning=step.microbatch * kept + tile,
        libraries=_LIBRARIES,
    )


def checkpoint_bytes(recipe: Recipe, model: ModelSize) -> float:
    """Return the bytes of a checkpoint: the adapter or all weights, the two moments of what is trained, the tokenizer."""
    trained = count_trained_parameters(model, recipe.policy)
    kept = trained if recipe.policy.lora_rank else model.parameters
    return (kept + 2 * trained) * 4 + model.beside


def estimate_seconds(recipe: Recipe, model: ModelSize, step: Work) -> float:
    """Estimate the seconds of the arithmetic of a step, at the speed of this machine, which is measured.

    A parameter and a token take 2 operations in the forward pass, 2 for the gradient of the inputs, and 2 for that of the parameter (Kaplan
    et al. 2020, arXiv 2001.08361). The head, the last layer, takes them for the tokens of replies only.
    """
    device, threads = recipe.policy.device, recipe.policy.threads
    passes = 2 + (2 if recipe.policy.lora_rank else 4) * _share_of_layers(model, recipe.policy)
    if device == "cuda":
        passes += 2  # gradient checkpointing repeats the forward pass
    dtype = "bfloat16" if device == "cuda" or recipe.policy.bf16 else "float32"
    read, written = (0, 0) if recipe.engine.name == "vllm" else (step.read, step.written)
    wide, narrow = (hardware.measure_speed(device, dtype, threads, rows) for rows in (512, min(step.loops, 512)))
    layers, head = sum(out * inputs for out, inputs in model.linears), model.vocabulary * model.hidden
    return layers * (2 * read + passes * step.trained) / wide + head * passes * step.written / wide + (layers + head) * 2 * written / narrow


def count_trained_parameters(model: ModelSize, policy: PolicyConfig) -> int:
    """Count the parameters that are trained: of the adapter, of the last `layers` layers, or all."""
    share = _share_of_layers(model, policy)
    if policy.lora_rank:
        return round(share * sum(policy.lora_rank * (out + inputs) for out, inputs in model.linears))
    return round(share * sum(out * inputs for out, inputs in model.linears)) if policy.layers else model.parameters


def _share_of_layers(model: ModelSize, policy: PolicyConfig) -> float:
    return min(policy.layers, model.layers) / model.layers if policy.layers else 1.0


def measure_records(recipe: Recipe) -> RowLengths | None:
    """Measure the records that a recipe names. None: it learns from none, or they are not there yet."""
    folders = [Path(folder) for folder in recipe.records.folders]
    used = recipe.sources.replay + recipe.sources.imitate > 0 and all(folder.exists() for folder in folders)
    return measure_rows(folders) if used else None


def check_fits(recipe: Recipe, model: ModelSize, out: Path, recorded: RowLengths | None = None) -> None:
    """Raise UsageError, with the numbers, when the memory or the disk is not expected to suffice for a run.

    `recorded` is what `measure_records` returned.
    """
    work = estimate_work(recipe, share=EXPECTED, recorded=recorded)
    need, free = estimate_memory(recipe, model, work), hardware.free_memory(recipe.policy.device)
    if need.total > free:
        raise UsageError(
            f"the run takes about {format_bytes(need.total)} of memory, and {format_bytes(free)} are free: {_describe_memory(need)};"
            f" {_advice(need, free)}"
        )
    checkpoint, count, room = checkpoint_bytes(recipe, model), checkpoints.count_to_come(out), _free_disk(out)
    if checkpoint * count > room:
        raise UsageError(
            f"checkpoints take {count} times {format_bytes(checkpoint)}, and {format_bytes(room)} are free at {out};"
            " make room, or give another --out"
        )


def describe(recipe: Recipe, model: ModelSize, out: Path, recorded: RowLengths | None = None) -> str:
    """Describe in lines for a person what a run needs. The speed is measured, which takes about a second.

    `recorded` is what `measure_records` returned. On a machine without the device of the recipe, the time and the free memory are left out.
    """
    steps = recipe.learning.steps
    try:
        free = f"of {format_bytes(hardware.free_memory(recipe.policy.device))} free"
    except UsageError:
        free = ""
    expected, largest = (estimate_work(recipe, share=share, recorded=recorded) for share in (EXPECTED, 1.0))
    need, worst = estimate_memory(recipe, model, expected), estimate_memory(recipe, model, largest)
    trained = count_trained_parameters(model, recipe.policy)
    disk = f"{checkpoints.count_to_come(out)} times {format_bytes(checkpoint_bytes(recipe, model))} for checkpoints"
    time = f"of {steps:,} steps is not known: there is no {recipe.policy.device} device here to measure"
    if free:
        step_seconds = estimate_seconds(recipe, model, expected)
        took = timedelta(seconds=ceil(step_seconds * steps))
        time = f"about {took} for {steps:,} steps, {step_seconds:,.{0 if step_seconds >= 10 else 1}f} s each, for the arithmetic alone"
    lines = (
        ("model", f"{model.parameters:,} parameters, {trained:,} trained"),
        ("tokens", f"a step about {expected.read:,} read, {expected.written:,} written, {expected.trained:,} learned from"),
        ("", f"at most {largest.read:,} read, {largest.written:,} written, {largest.trained:,} learned from"),
        ("memory", f"about {format_bytes(need.total)}, at most {format_bytes(worst.total)}{free and f', {free}'}"),
        ("", _describe_memory(need)),
        ("disk", f"{disk}, of {format_bytes(_free_disk(out))} free"),
        ("time", time),
    )
    return "\n".join(f"{name:8}{text}" for name, text in lines)


def _describe_memory(need: Memory) -> str:
    amounts = (("weights", need.weights), ("optimizer", need.optimizer), ("gradients", need.gradients), ("libraries", need.libraries))
    return (
        ", ".join(f"{name} {format_bytes(value)}" for name, value in amounts)
        + f", playing {format_bytes(need.playing)} or learning {format_bytes(need.learning)}"
    )


def format_bytes(size: float) -> str:
    """Return a size in GB or MB, decimal."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _advice(need: Memory, free: float) -> str:
    if need.weights + need.optimizer + need.gradients > free:
        return "take a smaller model, or a `lora_rank` where there is none"
    if need.learning > need.playing:
        return "take more `microbatches`, or smaller `max_tokens`"
    return "take fewer `packs`, or a smaller `group_size`"


def _free_disk(out: Path) -> int:
    """Return the free bytes on the disk of `out`. An unfinished checkpoint counts as free, because it is removed."""
    return hardware.free_disk(out) + sum(file.stat().st_size for file in checkpoints.unfinished_dir(out).rglob("*"))
