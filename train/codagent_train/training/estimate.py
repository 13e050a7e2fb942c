"""What a run will take, before it starts: memory, tokens, disk, time. Rough on purpose; knows of a model only its `Shape`.

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
from codagent_train.environments.make import LEVELS, drawn
from codagent_train.policy.model_size import Shape, shape
from codagent_train.recipe.schema import RANDOM, Recipe
from codagent_train.rollout.engines.engine import TOGETHER
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
    """Tokens of a step: `read` before each answer, `written` in them, `learned` from, what was read included; of these, those in one `part`
    and in the longest row. `loops` are played side by side."""

    read: int
    written: int
    learned: int
    part: int
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
class Length:
    """Tokens of an episode: read before each of its answers, written in them, and in its row, which is learned from."""

    read: int
    written: int
    row: int


def work(recipe: Recipe, *, share: float = 1.0) -> Work:
    """Of a step in which episodes take that share of their turns, and replies of their room. Text is counted cautiously, by bytes."""
    place, batch, replies = recipe.environment, recipe.batch, recipe.replies
    turns = 1 if place.name == "keycode" else LEVELS[place.level].turns
    asked, state = _asked(recipe)
    known = 0 if recipe.policy.weights == RANDOM else ceil(replies.notes_tokens * share)
    said = ceil(replies.max_tokens * share)
    solve = episode(asked + known, state, said, max(1, round(turns * share)), replies.context_tokens)
    shown = asked if recipe.policy.weights == RANDOM else solve.row + _REWRITE
    noted = ceil(min(replies.max_tokens, replies.notes_tokens + THINKING_TOKENS) * share)
    notes = episode(shown, 0, noted, max(1, round(ATTEMPTS * share)), replies.context_tokens)
    loops = batch.packs * batch.loops
    read, written, learned = (loops * (place.tasks * a + (place.tasks - 1) * b) for a, b in zip(_sums(solve), _sums(notes), strict=True))
    longest = max(solve.row, notes.row if place.tasks > 1 else 0)
    return Work(read, written, learned, max(longest, ceil(learned / batch.parts)), longest, loops)


def episode(asked: int, state: int, said: int, turns: int, room: int) -> Length:
    """What is asked, then in each turn a reply and the state that it led to; no request and reply take more than the room."""
    requests = [min(asked + turn * (said + state), room - said) for turn in range(turns)]
    return Length(sum(requests), turns * said, requests[-1] + said)


def memory(recipe: Recipe, model: Shape, step: Work) -> Memory:
    """What is held at once, on the device of the recipe, when a step is like that one."""
    on_cpu, rank = recipe.policy.device == "cpu", recipe.policy.lora_rank
    size = 4 if on_cpu else 2  # bytes of a weight, as policy.pretrained loads them
    trained = parameters_trained(model, rank) * (4 if rank else size)  # bytes; peft keeps an adapter in float32
    kept = (_KEPT_ADAPTED if rank else _KEPT) * model.outputs * size
    if not on_cpu:  # gradient checkpointing keeps what goes into each layer, and one layer in full
        kept = kept / model.layers + model.layers * model.hidden * size
    tile = min(step.part, _TILE_TOKENS) * min(model.vocabulary, _TILE_WORDS) * (4 * _TILES if on_cpu else 8)
    together = max(step.longest, min(TOGETHER, step.loops * step.longest))
    layer = 3 * model.outputs / model.layers * size
    playing = together * (model.cached * size + layer) + step.loops * model.vocabulary * _DRAWN
    return Memory(
        weights=model.parameters * size,
        optimizer=2 * trained,  # AdamW's two moments, in the type of what is trained
        gradients=trained,
        playing=0 if recipe.engine.name == "vllm" else playing,
        learning=step.part * kept + tile,
        libraries=_LIBRARIES,
    )


def saved(recipe: Recipe, model: Shape) -> float:
    """Bytes of a checkpoint: what is trained, its two moments, the tokenizer."""
    rank = recipe.policy.lora_rank
    return 3 * parameters_trained(model, rank) * (4 if rank or recipe.policy.device == "cpu" else 2) + model.beside


def seconds(recipe: Recipe, model: Shape, step: Work) -> float:
    """Of a step, by arithmetic alone, at the speed that is measured here: 2 operations for a parameter and a token that goes through it,
    as many again for what comes back, and for the parameter's own gradient (Kaplan et al. 2020, arXiv 2001.08361)."""
    device, threads = recipe.policy.device, recipe.policy.threads
    passes = 4 if recipe.policy.lora_rank else 6
    if device == "cuda":
        passes += 2  # forward once more, for gradient checkpointing
    read, written = (0, 0) if recipe.engine.name == "vllm" else (step.read, step.written)
    wide, narrow = hardware.speed(device, threads, 512), hardware.speed(device, threads, min(step.loops, 512))
    return model.parameters * ((2 * read + passes * step.learned) / wide + 2 * written / narrow)


def parameters_trained(model: Shape, rank: int) -> int:
    return sum(rank * (out + given) for out, given in model.linears) if rank else model.parameters


def sized(recipe: Recipe) -> Shape:
    """UsageError when it cannot be told how large the model is."""
    found = shape(recipe.policy.weights)
    if found is None:
        raise UsageError(
            f"the weights {recipe.policy.weights} are not on this machine as safetensors; `codagent-train import` makes a folder of them,"
            " which is to be named as `weights`"
        )
    return found


def fits(recipe: Recipe, model: Shape, out: Path) -> None:
    """UsageError, with the numbers, when a run is not expected to fit into the memory, or its checkpoints onto the disk."""
    need, free = memory(recipe, model, work(recipe, share=EXPECTED)), hardware.free_memory(recipe.policy.device)
    if need.total > free:
        raise UsageError(f"the run takes about {gb(need.total)} of memory, and {gb(free)} are free: {parts(need)}; {_advice(need, free)}")
    each, count, room = saved(recipe, model), checkpoints.to_come(out), _room(out)
    if each * count > room:
        raise UsageError(f"checkpoints take {count} times {gb(each)}, and {gb(room)} are free at {out}; make room, or give another --out")


def told(recipe: Recipe, model: Shape, out: Path) -> str:
    """What a run will take, in lines for a person. The speed is measured, which takes a moment."""
    free, steps = hardware.free_memory(recipe.policy.device), recipe.learning.steps
    about, most = work(recipe, share=EXPECTED), work(recipe)
    need, worst = memory(recipe, model, about), memory(recipe, model, most)
    trained = parameters_trained(model, recipe.policy.lora_rank)
    each = seconds(recipe, model, about)
    lines = (
        ("model", f"{model.parameters:,} parameters, {trained:,} trained"),
        ("tokens", f"a step about {about.read:,} read, {about.written:,} written, {about.learned:,} learned from"),
        ("", f"at most {most.read:,} read, {most.written:,} written, {most.learned:,} learned from"),
        ("memory", f"about {gb(need.total)}, at most {gb(worst.total)}, of {gb(free)} free"),
        ("", parts(need)),
        ("disk", f"{checkpoints.to_come(out)} times {gb(saved(recipe, model))} for checkpoints, of {gb(_room(out))} free"),
        ("time", f"about {timedelta(seconds=ceil(each * steps))} for {steps:,} steps, {each:.2g} s each, for the arithmetic alone"),
    )
    return "\n".join(f"{name:8}{text}" for name, text in lines)


def parts(need: Memory) -> str:
    told = (("weights", need.weights), ("optimizer", need.optimizer), ("gradients", need.gradients), ("libraries", need.libraries))
    return ", ".join(f"{name} {gb(value)}" for name, value in told) + f", playing {gb(need.playing)} or learning {gb(need.learning)}"


def gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _advice(need: Memory, free: float) -> str:
    if need.weights + need.optimizer + need.gradients > free:
        return "take a smaller model, or a `lora_rank` where there is none"
    return "take more `parts`, or smaller `max_tokens`" if need.learning > need.playing else "take fewer `packs` or `loops`"


def _room(out: Path) -> int:
    """Bytes on its disk, those included that a checkpoint which was never finished takes."""
    return hardware.free_disk(out) + sum(file.stat().st_size for file in checkpoints.unfinished(out).rglob("*"))


def _asked(recipe: Recipe) -> tuple[int, int]:
    """Tokens of the first request of an episode without notes, and of a state alone."""
    pack, environment = drawn(recipe, "train", 0)
    messages = environment().reset(pack.tasks[0], "")
    if recipe.policy.weights == RANDOM:
        return len(keycode.encode(messages)), 0
    counted = [ceil(len(message.content.encode()) / BYTES_PER_TOKEN) for message in messages]
    return sum(counted), counted[-1]


def _sums(one: Length) -> tuple[int, int, int]:
    return one.read, one.written, one.row
