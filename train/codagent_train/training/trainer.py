"""CoD-Train (arXiv 2606.20002, section 3): trains a policy on loops that it has played itself.

A step has three parts:

1. Play. Each of P packs of related tasks is played by G loops, task after task, with a rewrite of the notes between two tasks (`rollout`).
2. Credit. The return of an episode is the mean of its own reward and the rewards of all later tasks. Its advantage is the return minus the
   mean return of the same episode, by kind and position, over the loops of the pack. Re-weighting is optional (`data/credit`).
3. Learn. Each token of a reply has the advantage of its episode in the one-sided loss (`training/loss`). AdamW takes one step.

Differs from the paper: malformed notes are asked for once more, and when they are malformed again the old ones are kept. The rewrite is
shown the state after the attempt. Groups without signal are left out of the token mean, and a step with no other groups is not taken. Loops
are played by the weights of the same step, unless the recipe sets `staleness`; in the paper they are up to 20 steps older. A recipe can
train LoRA in place of all weights, and can take packs from other sources than play (`data/mixture`).

trl's GRPOTrainer gives the optimizer, accumulation, clipping, several processes and resuming. `_prepare_inputs` and `_compute_loss` are
overridden; they use its `_step` and `_metrics["train"]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from codagent_train.data.mixture import Mixture
from codagent_train.data.redo import NOBODY, Operator
from codagent_train.data.samples import split_samples, step_samples
from codagent_train.errors import Diverged
from codagent_train.policy.load import Policy, make_lora_config
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.engines.factory import schedule_engines
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import policy_id
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training.logprobs import IGNORED, one_pass_logprobs, token_logprobs
from codagent_train.training.loss import clip_mask, drift, one_sided_loss, token_mean
from codagent_train.training.microbatch import Microbatch, pad_samples
from codagent_train.training.resuming import ResumingTrainer
from codagent_train.training.step_metrics import step_metrics

LEAST_ENTROPY = 0.1  # share of the weight of the entropy bonus that is left when it has fallen

OnStep = Callable[[int, Mapping[str, float]], None]  # is called after each step with its number and its metrics


def train(
    recipe: Recipe, policy: Policy, out: Path, *, last: Path | None = None, on_step: OnStep = lambda *_: None, operator: Operator = NOBODY
) -> None:
    """Train `policy` in place and write metrics and checkpoints to `out`.

    `last` is the checkpoint to go on from; None: begin with step 1. Raises Diverged when the loss, the gradient or the weights are not
    finite, and UsageError when the recipe does not fit the policy, the records or the number of processes.
    """
    trainer = Trainer(recipe, policy, out, on_step=on_step, operator=operator)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    PartialState().wait_for_everyone()  # at its end, each process still looks for checkpoints there
    if PartialState().is_main_process:
        checkpoints.remove_unfinished(out)


class Trainer(ResumingTrainer):
    """trl's trainer with the samples and the loss of CoD-Train."""

    def __init__(
        self, recipe: Recipe, policy: Policy, out: Path, *, on_step: OnStep = lambda *_: None, operator: Operator = NOBODY
    ) -> None:
        packs = recipe.batch.packs * recipe.learning.steps
        if not recipe.policy.lora_rank and not any(parameter.requires_grad for parameter in policy.model.parameters()):
            raise UsageError(
                f"{recipe.policy.weights} is an adapter, whose own weights are not trained; set `lora_rank` in [policy] to train it on"
            )
        super().__init__(
            model=policy.model,
            reward_funcs=_no_reward,
            args=make_grpo_config(recipe, out),
            train_dataset=Dataset.from_dict({"prompt": [""] * packs, "pack": list(range(packs))}),
            processing_class=policy.processor,
            peft_config=make_lora_config(recipe.policy, policy.model),
            callbacks=[RunDirCallback(out, on_step)],
        )
        self.remove_callback(PrinterCallback)
        self._recipe, self._policy, self._play = recipe, policy, operator.play
        self._engines = schedule_engines(recipe, policy, out)
        vocabulary_size = policy.model.get_input_embeddings().num_embeddings
        self._mixture = Mixture(recipe, out, policy.tokenizer, vocabulary_size=vocabulary_size, operator=operator)
        self._microbatches: list[Microbatch] = []

    def _prepare_inputs(self, generation_batch: Sequence[Mapping[str, Any]]) -> Microbatch:
        """Return the next microbatch. Before the first one of a step, play the packs of the step.

        `generation_batch` has a row for each loop of the step, with the number of the loop's pack.
        """
        index = self._step % self.args.gradient_accumulation_steps
        if index == 0:
            self._microbatches = self._build_microbatches(list(dict.fromkeys(row["pack"] for row in generation_batch)))
        microbatch: Microbatch = self._microbatches[index]
        return microbatch

    def _build_microbatches(self, packs: Sequence[int]) -> list[Microbatch]:
        """Play the packs of a step and turn all that the step learns from into microbatches."""
        recipe, step = self._recipe, self.state.global_step
        specs = self._mixture.specs(packs, step)
        loops = dict(zip(specs, self._play(self._make_sampler(step), list(specs.values())), strict=True))
        loops |= self._mixture.collect_recorded(packs, step)
        batch = step_samples(recipe, loops)
        self._log_values(step_metrics(loops, batch))
        trained = torch.tensor(float(sum(sample.trained_tokens for sample in batch.samples)), device=self.accelerator.device)
        total = self.accelerator.reduce(trained, "mean").item()
        parts = split_samples(batch.samples, recipe.batch.microbatches)
        return [pad_samples(samples, self._policy.pad, total, self.accelerator.device) for samples in parts]

    def _make_sampler(self, step: int) -> Sampler:
        """Return a sampler of the policy as it is now, or as it was some steps ago.

        Every process makes one in each step, also when it has no pack to play.

        The processes of a run share one vLLM server, and the first process tells the others the name of the step's adapter.
        """
        engine, sampled = self._engines.engine_at(self.accelerator.unwrap_model(self.model), step)
        return Sampler(engine, self._policy.tokenizer, policy_id(self._recipe, sampled), self._recipe.replies.temperature)

    def _compute_loss(self, model: Any, inputs: Microbatch) -> Tensor:
        """Return the loss of a microbatch, a scalar. The losses of a step's microbatches add up to the token mean over the step."""
        if not inputs.total:
            # without gradients the optimizer changes neither parameters nor momentum
            return torch.zeros((), requires_grad=True, device=inputs.ids.device)
        logprobs, entropies = self._token_logprobs(model, inputs)
        mask, learning = inputs.labels[:, 1:] != IGNORED, self._recipe.learning
        moved, by_row = drift(logprobs, inputs.sampled_logprobs, mask & ~inputs.imitated[:, None])
        off_policy = by_row > self._recipe.records.max_drift  # these rows are left out of the loss
        losses = one_sided_loss(logprobs, inputs.sampled_logprobs, inputs.advantages, clip=learning.clip)
        losses = losses * inputs.weights * ~off_policy[:, None]
        policy, entropy = (token_mean(tensor, mask, inputs.total) for tensor in (losses, entropies))
        loss = policy - token_mean(entropies * self._entropy_weights(inputs.notes)[:, None], mask, inputs.total)
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} in step {self.state.global_step + 1}")
        outside = clip_mask(logprobs, inputs.sampled_logprobs, inputs.advantages, clip=learning.clip)
        values = {"loss/policy": policy, "loss/entropy": entropy, "rows/far": off_policy.sum().float()}
        by_token = {"rows/clipped_share": outside, "drift/mean": moved}
        values |= {name: token_mean(tensor, mask, inputs.total) for name, tensor in by_token.items()}
        self._log_values({name: tensor.item() * self._recipe.batch.microbatches for name, tensor in values.items()})
        self._metrics["train"]["drift/largest"] = [max(moved.max().item(), *self._metrics["train"]["drift/largest"], 0.0)]
        return loss

    def _entropy_weights(self, notes: Tensor) -> Tensor:
        """Return the weight of the entropy bonus of each row, (B,) float32. `notes`, (B,) bool, says which rows are of notes."""
        learning = self._recipe.learning
        left = 1 - self.state.global_step / learning.entropy_steps if learning.entropy_steps else 1.0
        of_notes = learning.entropy if learning.notes_entropy is None else learning.notes_entropy
        return torch.where(notes, of_notes, learning.entropy) * max(left, LEAST_ENTROPY)

    def _token_logprobs(self, model: Any, microbatch: Microbatch) -> tuple[Tensor, Tensor]:
        """Compute the logprobs of the labels and the entropies, (B, T - 1) float32 each.

        trl's Triton kernel is used on a GPU when all rows have its one temperature. Elsewhere trl would apply the head to all positions.
        """
        if microbatch.ids.is_cuda and (microbatch.temperatures == self.temperature).all():
            out = model(input_ids=microbatch.ids, attention_mask=microbatch.mask, labels=microbatch.labels, fused_lm_head=True)
            return out.log_probs, out.entropy
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        compute = token_logprobs if self.accelerator.num_processes == 1 else one_pass_logprobs
        return compute(model, microbatch.ids, microbatch.mask, microbatch.labels, head=head, temperatures=microbatch.temperatures)

    def _log_values(self, values: Mapping[str, float]) -> None:
        """Add values to trl's metrics, which logs the mean of a step's values."""
        for name, value in values.items():
            self._metrics["train"][name].append(value)


class RunDirCallback(TrainerCallback):  # type: ignore[misc]
    """Writes a line of metrics for each step, and gives a checkpoint its name when it is complete."""

    def __init__(self, out: Path, on_step: OnStep) -> None:
        self._out, self._on_step = out, on_step

    def on_log(self, args: Any, state: Any, control: Any, *, logs: Mapping[str, float], **_: Any) -> None:
        """Write the metrics of a step. Raises Diverged when the gradient is not finite."""
        del args, control
        if state.is_world_process_zero and "loss" in logs:
            if not math.isfinite(logs["grad_norm"]):
                raise Diverged(f"the gradient is {logs['grad_norm']} in step {state.global_step}")  # before the weights are saved
            named = {metrics.OUR_NAMES.get(name, name): value for name, value in logs.items() if name != "epoch"}
            metrics.append(self._out / metrics.FILE, state.global_step, named)
            self._on_step(state.global_step, named)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Publish the checkpoint of a step when all processes have written their parts."""
        del args, control
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            checkpoints.publish(self._out, state.global_step)


def make_grpo_config(recipe: Recipe, out: Path) -> GRPOConfig:
    """Translate a recipe to trl's configuration. Raises UsageError when the packs cannot be divided among the processes."""
    batch, learning, on_cpu = recipe.batch, recipe.learning, recipe.policy.device == "cpu"
    processes = PartialState(cpu=on_cpu).num_processes
    if batch.packs % processes or batch.packs * batch.group_size // processes % batch.microbatches:
        raise UsageError(f"{batch.packs} packs in {batch.microbatches} microbatches cannot be divided among {processes} processes")
    return GRPOConfig(
        output_dir=str(checkpoints.unfinished_dir(out)),
        max_steps=learning.steps,
        per_device_train_batch_size=batch.packs * batch.group_size // processes // batch.microbatches,
        gradient_accumulation_steps=batch.microbatches,
        num_generations=batch.group_size,
        shuffle_dataset=False,
        remove_unused_columns=False,
        temperature=recipe.replies.temperature,
        beta=0.0,
        learning_rate=learning.learning_rate,
        lr_scheduler_type="linear" if learning.schedule == "linear" else "constant_with_warmup",
        adam_beta2=learning.beta2,
        warmup_steps=learning.warmup,
        weight_decay=learning.weight_decay,
        max_grad_norm=learning.max_grad_norm,
        save_steps=learning.save_every,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        log_level_replica="error",  # trl would have every process but the first warn
        seed=recipe.seed,
        use_cpu=on_cpu,
        bf16=not on_cpu or recipe.policy.bf16,
        gradient_checkpointing=not on_cpu,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
    )


def _no_reward(completions: Sequence[str], **_: Any) -> list[float]:
    """Return zeros. trl demands a reward function; the advantages come from `data/credit`."""
    return [0.0] * len(completions)
