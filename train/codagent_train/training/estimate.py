"""What a run will take, before it starts: memory, tokens, disk, time. Rough on purpose; knows of a model only its `ModelSize`.

What a token leaves behind for the backward pass is counted in outputs of the linear layers, each of which is kept 2.6 times, and 3.7 times
under LoRA; that and the head's share were measured on SmolLM2-135M in float32, within 3 % from 512 to 2,048 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path

from codagent.agent.notes import ATTEMPTS, THINKING_TOKENS
from codagent.errors import UsageError
from codagent.text import BYTES_PER_TOKEN
from codagent_train.environments import keycode
from codagent_train.environments.make import LEVELS, make_pack
from codagent_train.policy.model_size import ModelSize, model_size
from codagent_train.recipe.schema import RANDOM, Recipe
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS
from codagent_train.run_dir import checkpoints
from codagent_train.training import hardware

EXPECTED = 0.5  # of the turns and of the room for replies
_LIBRARIES = 600e6  # bytes of Python, torch and trl in memory
_KEPT, _KEPT_ADAPTED = 2.6, 3.7
_TILE_TOKENS, _TILE_WORDS = 4096, 32768  # that trl's head takes together
_TILES = 9  # of float32 on a CPU, which it has at a time
_DRAWN = 36  # bytes for each word that the next token may be
_REWRITE = 300  # tokens around what the rewrite of the notes is shown


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens of a step: `read` before each answer, `written` in them, `trained` on, what was read included; of these, those in one
    `microbatch` and in the longest sample. `loops` are played side by side."""

    read: int
    written: int
    trained: int
    microbatch: int
    longest: int
    loops: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. Playing and learning take turns."""

    weights: float
    optimizer: float
    gradients: float
    playing: float
    learning: float
    libraries: float

    @property
    def total(self) -> float:
        return self.weights + self.optimizer + self.libraries + max(self.playing, self.gradients + self.learning)


@dataclass(frozen=True, slots=True)
class EpisodeLength:
    """Tokens of an episode: read before each of its answers, written in them, and in its sample, which is learned from."""

    read: int
    written: int
    sample: int


def estimate_work(recipe: Recipe, *, share: float = 1.0) -> Work:
    """Of a step in which episodes take that share of their turns, and replies of their room. Text is counted cautiously, by bytes."""
    environment, batch, replies = recipe.environment, recipe.batch, recipe.replies
    turns = 1 if environment.name == "keycode" else LEVELS[environment.level].turns
    prompt, state = _prompt_tokens(recipe)
    known = 0 if recipe.policy.weights == RANDOM else ceil(replies.notes_tokens * share)
    reply = ceil(replies.max_tokens * share)
    solve = estimate_episode(prompt + known, state, reply, max(1, round(turns * share)), replies.context_tokens)
    shown = prompt if recipe.policy.weights == RANDOM else solve.sample + _REWRITE
    notes_reply = ceil(min(replies.max_tokens, replies.notes_tokens + THINKING_TOKENS) * share)
    notes = estimate_episode(shown, 0, notes_reply, max(1, round(ATTEMPTS * share)), replies.context_tokens)
    loops = batch.packs * batch.group_size
    read, written, learned = (
        loops * (environment.tasks * a + (environment.tasks - 1) * b) for a, b in zip(_sums(solve), _sums(notes), strict=True)
    )
    longest = max(solve.sample, notes.sample if environment.tasks > 1 else 0)
    return Work(read, written, learned, max(longest, ceil(learned / batch.microbatches)), longest, loops)


def estimate_episode(prompt: int, state: int, reply: int, turns: int, room: int) -> EpisodeLength:
    """What is asked, then in each turn a reply and the state that it led to; no request and reply take more than the room."""
    requests = [min(prompt + turn * (reply + state), room - reply) for turn in range(turns)]
    return EpisodeLength(sum(requests), turns * reply, requests[-1] + reply)


def estimate_memory(recipe: Recipe, model: ModelSize, step: Work) -> Memory:
    """What is held at once, on the device of the recipe, when a step is like that one."""
    on_cpu, rank = recipe.policy.device == "cpu", recipe.policy.lora_rank
    size = 4 if on_cpu else 2  # bytes of a weight, as load_pretrained loads them
    trained = count_trained_parameters(model, rank) * (4 if rank else size)  # bytes; peft keeps an adapter in float32
    kept = (_KEPT_ADAPTED if rank else _KEPT) * model.outputs * size
    if not on_cpu:  # gradient checkpointing keeps what goes into each layer, and one layer in full
        kept = kept / model.layers + model.layers * model.hidden * size
    tile = min(step.microbatch, _TILE_TOKENS) * min(model.vocabulary, _TILE_WORDS) * (4 * _TILES if on_cpu else 8)
    together = max(step.longest, min(MAX_BATCH_TOKENS, step.loops * step.longest))
    layer = 3 * model.outputs / model.layers * size
    playing = together * (model.cached * size + layer) + step.loops * model.vocabulary * _DRAWN
    return Memory(
        weights=model.parameters * size,
        optimizer=2 * trained,  # AdamW's two moments, in the type of what is trained
        gradients=trained,
        playing=0 if recipe.engine.name == "vllm" else playing,
        learning=step.microbatch * kept + tile,
        libraries=_LIBRARIES,
    )


def checkpoint_bytes(recipe: Recipe, model: ModelSize) -> float:
    """Bytes of a checkpoint: what is trained, its two moments, the tokenizer."""
    rank = recipe.policy.lora_rank
    return 3 * count_trained_parameters(model, rank) * (4 if rank or recipe.policy.device == "cpu" else 2) + model.beside


def estimate_seconds(recipe: Recipe, model: ModelSize, step: Work) -> float:
    """Of a step, by arithmetic alone, at the speed that is measured here: 2 operations for a parameter and a token that goes through it,
    as many again for what comes back, and for the parameter's own gradient (Kaplan et al. 2020, arXiv 2001.08361)."""
    device, threads = recipe.policy.device, recipe.policy.threads
    passes = 4 if recipe.policy.lora_rank else 6
    if device == "cuda":
        passes += 2  # forward once more, for gradient checkpointing
    read, written = (0, 0) if recipe.engine.name == "vllm" else (step.read, step.written)
    wide, narrow = hardware.measure_speed(device, threads, 512), hardware.measure_speed(device, threads, min(step.loops, 512))
    return model.parameters * ((2 * read + passes * step.trained) / wide + 2 * written / narrow)


def count_trained_parameters(model: ModelSize, rank: int) -> int:
    return sum(rank * (out + inputs) for out, inputs in model.linears) if rank else model.parameters


def require_size(recipe: Recipe) -> ModelSize:
    """UsageError when it cannot be told how large the model is."""
    size = model_size(recipe.policy.weights)
    if size is None:
        raise UsageError(
            f"the weights {recipe.policy.weights} are not on this machine as safetensors; `codagent-train import` makes a folder of them,"
            " which is to be named as `weights`"
        )
    return size


def check_fits(recipe: Recipe, model: ModelSize, out: Path) -> None:
    """UsageError, with the numbers, when a run is not expected to fit into the memory, or its checkpoints onto the disk."""
    need, free = estimate_memory(recipe, model, estimate_work(recipe, share=EXPECTED)), hardware.free_memory(recipe.policy.device)
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


def describe(recipe: Recipe, model: ModelSize, out: Path) -> str:
    """What a run will take, in lines for a person. The speed is measured, which takes a moment."""
    free, steps = hardware.free_memory(recipe.policy.device), recipe.learning.steps
    expected, largest = estimate_work(recipe, share=EXPECTED), estimate_work(recipe)
    need, worst = estimate_memory(recipe, model, expected), estimate_memory(recipe, model, largest)
    trained = count_trained_parameters(model, recipe.policy.lora_rank)
    step_seconds = estimate_seconds(recipe, model, expected)
    disk = f"{checkpoints.count_to_come(out)} times {format_bytes(checkpoint_bytes(recipe, model))} for checkpoints"
    time = f"about {timedelta(seconds=ceil(step_seconds * steps))} for {steps:,} steps, {step_seconds:.2g} s each"
    lines = (
        ("model", f"{model.parameters:,} parameters, {trained:,} trained"),
        ("tokens", f"a step about {expected.read:,} read, {expected.written:,} written, {expected.trained:,} learned from"),
        ("", f"at most {largest.read:,} read, {largest.written:,} written, {largest.trained:,} learned from"),
        ("memory", f"about {format_bytes(need.total)}, at most {format_bytes(worst.total)}, of {format_bytes(free)} free"),
        ("", _describe_memory(need)),
        ("disk", f"{disk}, of {format_bytes(_free_disk(out))} free"),
        ("time", f"{time}, for the arithmetic alone"),
    )
    return "\n".join(f"{name:8}{text}" for name, text in lines)


def _describe_memory(need: Memory) -> str:
    amounts = (("weights", need.weights), ("optimizer", need.optimizer), ("gradients", need.gradients), ("libraries", need.libraries))
    return (
        ", ".join(f"{name} {format_bytes(value)}" for name, value in amounts)
        + f", playing {format_bytes(need.playing)} or learning {format_bytes(need.learning)}"
    )


def format_bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _advice(need: Memory, free: float) -> str:
    if need.weights + need.optimizer + need.gradients > free:
        return "take a smaller model, or a `lora_rank` where there is none"
    if need.learning > need.playing:
        return "take more `microbatches`, or smaller `max_tokens`"
    return "take fewer `packs`, or a smaller `group_size`"


def _free_disk(out: Path) -> int:
    """Bytes on its disk, those included that a checkpoint which was never finished takes."""
    return hardware.free_disk(out) + sum(file.stat().st_size for file in checkpoints.unfinished_dir(out).rglob("*"))


def _prompt_tokens(recipe: Recipe) -> tuple[int, int]:
    """Tokens of the first request of an episode without notes, and of a state alone."""
    pack, environment = make_pack(recipe, "train", 0)
    messages = environment().reset(pack.tasks[0], "")
    if recipe.policy.weights == RANDOM:
        return len(keycode.encode(messages)), 0
    counted = [ceil(len(message.content.encode()) / BYTES_PER_TOKEN) for message in messages]
    return sum(counted), counted[-1]


def _sums(length: EpisodeLength) -> tuple[int, int, int]:
    return length.read, length.written, length.sample
