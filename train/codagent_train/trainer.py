"""CoD-Train: a policy learns from loops that it has played itself, each episode by what it brought to all that came after it.

After arXiv 2606.20002, section 3, in the order of its method:

1. Play. Each of P packs of related tasks is played G times, task after task with a rewrite of the notes between (`rollout`).
2. Credit. The return of an episode is the mean of its own reward and those of all later tasks; its advantage is that less the mean of
   its counterparts, the same kind and position, in the other loops of its group; optionally re-weighted (`credit`, `rows`).
3. Learn. Each token of a reply has its episode's advantage, under the one-sided loss (`loss`). One AdamW step, and all begins anew.

Different from the paper: malformed notes are asked for once more and then leave the old ones; the rewrite is shown the state that the
attempt left; groups in which all did equally well are left out of the mean, and a step in which all are is not taken; loops are played by
the weights of the step itself, where the paper's lag behind by up to 20. Where the recipe says so, LoRA in place of all weights, and, in
place of the policy's own play, other `sources`: a teacher that is imitated, or loops that were recorded.

trl brings the optimizer, accumulation, clipping, several processes and resuming; two of its methods are replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig

from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train import checkpoint, metrics
from codagent_train.engines.opening import engine_for
from codagent_train.loss import Diverged, clipped, drift, one_sided, token_mean
from codagent_train.policy import Policy, adapter
from codagent_train.recipe import Recipe
from codagent_train.resuming import ResumingTrainer
from codagent_train.rollout import Sampler, Start, roll_out
from codagent_train.rows import BASELINES, RETURNS, Row, copied, harvest, parts
from codagent_train.scoring import IGNORED, scored
from codagent_train.sources import Sources

OnStep = Callable[[int, Mapping[str, float]], None]  # is told the number of a step that was taken, and its metrics
Say = Callable[[str], None]  # is told what a person should know


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that go through the model together: `ids`, `mask` and `labels` (B, T) int64; `old` (B, T - 1) float32, the logprob of the label
    after each place when it was sampled; `advantages` and `temperatures` (B,) float32; `imitated` (B,) bool. `total` is the trained tokens
    of the step, over the processes."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    old: Tensor
    advantages: Tensor
    temperatures: Tensor
    imitated: Tensor
    total: float


def train(
    recipe: Recipe, policy: Policy, out: Path, *, last: Path | None = None, on_step: OnStep = lambda *_: None, say: Say = lambda _: None
) -> None:
    """Take the steps that are left after the checkpoint `last`. Diverged when they lead nowhere."""
    trainer = Trainer(recipe, policy, out, on_step=on_step, say=say)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    checkpoint.end(out)


class Trainer(ResumingTrainer):
    """Trains `policy` as `recipe` says, into the folder `out`."""

    def __init__(self, recipe: Recipe, policy: Policy, out: Path, *, on_step: OnStep = lambda *_: None, say: Say = lambda _: None) -> None:
        packs = recipe.batch.packs * recipe.learning.steps
        if not recipe.policy.lora_rank and not any(each.requires_grad for each in policy.model.parameters()):
            raise UsageError(f"{recipe.policy.weights} is an adapter, on which only another is trained; set `lora_rank` in [policy]")
        super().__init__(
            model=policy.model,
            reward_funcs=_unused,
            args=arguments(recipe, out),
            train_dataset=Dataset.from_dict({"prompt": [""] * packs, "pack": list(range(packs))}),
            processing_class=policy.processor,
            peft_config=adapter(recipe.policy, policy.model),
            callbacks=[Journal(out, on_step)],
        )
        self.remove_callback(PrinterCallback)
        self._recipe, self._policy = recipe, policy
        self._engine = engine_for(recipe, policy, out)
        words = policy.model.get_input_embeddings().num_embeddings
        self._sources = Sources(recipe, out, policy.tokenizer, words=words, say=say)
        self._parts: list[Part] = []

    def _prepare_inputs(self, generation_batch: Sequence[Mapping[str, Any]]) -> Part:
        """The part of the step that is due. Before the first, the packs of the batch are played; each row names one, once per loop."""
        due = self._step % self.args.gradient_accumulation_steps
        if due == 0:
            self._parts = self._collected(list(dict.fromkeys(row["pack"] for row in generation_batch)))
        part: Part = self._parts[due]
        return part

    def _compute_loss(self, model: Any, inputs: Part) -> Tensor:
        """The share of a part in the loss of its step."""
        if not inputs.total:
            return torch.zeros((), requires_grad=True)  # no parameter has a gradient, so the optimizer leaves them, and its momentum, alone
        logprobs, entropies = self._scored(model, inputs)
        mask, learning = inputs.labels[:, 1:] != IGNORED, self._recipe.learning
        moved, by_row = drift(logprobs, inputs.old, mask & ~inputs.imitated[:, None])
        far = by_row > self._recipe.records.max_drift  # from whoever sampled it: a row that is left out
        losses = one_sided(logprobs, inputs.old, inputs.advantages, clip=learning.clip) * ~far[:, None]
        policy, entropy = (token_mean(each, mask, inputs.total) for each in (losses, entropies))
        loss = policy - learning.entropy * entropy
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} in step {self.state.global_step + 1}")
        outside = clipped(logprobs, inputs.old, inputs.advantages, clip=learning.clip)
        told = {"loss/policy": policy, "loss/entropy": entropy, "rows/far": far.sum().float()}
        told |= {name: token_mean(each, mask, inputs.total) for name, each in (("rows/clipped_share", outside), ("drift/mean", moved))}
        self._tell({name: each.item() * self._recipe.batch.parts for name, each in told.items()})
        self._metrics["train"]["drift/largest"] = [max(moved.max().item(), *self._metrics["train"]["drift/largest"], 0.0)]
        return loss

    def _scored(self, model: Any, part: Part) -> tuple[Tensor, Tensor]:
        """By trl's kernel where that runs, at its one temperature; without Triton it would score all places, trained or not."""
        if part.ids.is_cuda and (part.temperatures == self.temperature).all():
            out = model(input_ids=part.ids, attention_mask=part.mask, labels=part.labels, fused_lm_head=True)
            return out.log_probs, out.entropy
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        return scored(model, part.ids, part.mask, part.labels, head=head, temperatures=part.temperatures)

    def _collected(self, packs: Sequence[int]) -> list[Part]:
        recipe, policy = self._recipe, self._policy
        learned = self._sources.learned(packs, step=self.state.global_step, policy=self._named, play=self._played)
        found = harvest(
            [group for groups in learned.compared.values() for group in groups],
            returns=RETURNS[recipe.credit.returns],
            baseline=BASELINES[recipe.credit.baseline],
            reweight=recipe.credit.reweight,
        )
        found = replace(found, rows=(*found.rows, *(row for loops in learned.imitated.values() for row in copied(loops))))
        self._tell(metrics.measured(learned, found))
        trained = torch.tensor(float(sum(row.trained for row in found.rows)), device=self.accelerator.device)
        total = self.accelerator.reduce(trained, "mean").item()
        return [tensors(part, policy.pad, total, self.accelerator.device) for part in parts(found.rows, recipe.batch.parts)]

    def _played(self, groups: Sequence[Sequence[Start]], profile: Profile) -> list[list[Loop]]:
        engine = self._engine(self.accelerator.unwrap_model(self.model), self.state.global_step)
        sampler = Sampler(engine, self._policy.tokenizer, self._named, self._recipe.replies.temperature)
        loops = iter(roll_out(sampler, [start for group in groups for start in group], profile))
        return [[next(loops) for _ in group] for group in groups]

    @property
    def _named(self) -> str:
        """The policy as it is in this step."""
        return f"{self._recipe.policy.weights}@{self.state.global_step}"

    def _tell(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._metrics["train"][name].append(value)


class Journal(TrainerCallback):  # type: ignore[misc]
    """Keeps the folder of a run: a line of metrics for each step, a checkpoint under its name once it is whole."""

    def __init__(self, out: Path, on_step: OnStep) -> None:
        self._out, self._on_step = out, on_step

    def on_log(self, args: Any, state: Any, control: Any, *, logs: Mapping[str, float], **_: Any) -> None:
        del args, control
        if state.is_world_process_zero and "loss" in logs:
            if not math.isfinite(logs["grad_norm"]):
                raise Diverged(f"the gradient is {logs['grad_norm']} in step {state.global_step}")  # before the weights are saved
            named = {metrics.RENAMED.get(name, name): value for name, value in logs.items() if name != "epoch"}
            metrics.write(self._out / metrics.FILE, state.global_step, named)
            self._on_step(state.global_step, named)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        del args, control
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            checkpoint.publish(self._out, state.global_step)


def arguments(recipe: Recipe, out: Path) -> GRPOConfig:
    """A recipe in the words of trl. UsageError when its packs cannot be shared out among the processes."""
    batch, learning, on_cpu = recipe.batch, recipe.learning, recipe.policy.device == "cpu"
    processes = PartialState(cpu=on_cpu).num_processes
    if batch.packs % processes or batch.packs * batch.loops // processes % batch.parts:
        raise UsageError(f"{batch.packs} packs in {batch.parts} parts cannot be shared out among {processes} processes")
    return GRPOConfig(
        output_dir=str(checkpoint.unfinished(out)),
        max_steps=learning.steps,
        per_device_train_batch_size=batch.packs * batch.loops // processes // batch.parts,
        gradient_accumulation_steps=batch.parts,
        num_generations=batch.loops,
        shuffle_dataset=False,
        remove_unused_columns=False,
        temperature=recipe.replies.temperature,
        beta=0.0,
        learning_rate=learning.rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=learning.warmup,
        weight_decay=learning.decay,
        max_grad_norm=learning.max_norm,
        save_steps=learning.save_every,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        seed=recipe.seed,
        use_cpu=on_cpu,
        bf16=not on_cpu or recipe.policy.bf16,
        gradient_checkpointing=not on_cpu,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
    )


def tensors(rows: Sequence[Row], pad: int, total: float, device: torch.device) -> Part:
    """Rows padded on the right. Without any, a blank one of which nothing is trained: processes take their steps together."""
    width = max((row.length for row in rows), default=2)
    ids, mask, labels, old = [], [], [], []
    for row in rows:
        left = width - row.length
        ids.append([*row.ids, *[pad] * left])
        mask.append([1] * row.length + [0] * left)
        labels.append([IGNORED] * width)
        old.append([0.0] * (width - 1))
        for reply in row.replies:
            begin, end = len(reply.prompt_ids), len(reply.prompt_ids) + len(reply.completion_ids)
            labels[-1][begin:end] = reply.completion_ids
            old[-1][begin - 1 : end - 1] = reply.logprobs
    return Part(
        ids=torch.tensor(ids or [[pad] * width], device=device),
        mask=torch.tensor(mask or [[1] * width], device=device),
        labels=torch.tensor(labels or [[IGNORED] * width], device=device),
        old=torch.tensor(old or [[0.0] * (width - 1)], device=device),
        advantages=torch.tensor([row.advantage for row in rows] or [0.0], device=device),
        temperatures=torch.tensor([row.temperature for row in rows] or [1.0], device=device),
        imitated=torch.tensor([row.imitated for row in rows] or [False], device=device),
        total=total,
    )


def _unused(completions: Sequence[str], **_: Any) -> list[float]:
    """trl insists on a function of rewards; credit comes from elsewhere."""
    return [0.0] * len(completions)
