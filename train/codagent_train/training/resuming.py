"""Resuming from a checkpoint: every file of it is read, or the error says in one sentence which one cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerState
from trl import GRPOTrainer

from codagent.errors import RecordError
from codagent_train.files import refuse_unreadable
from codagent_train.run_dir import checkpoints

_STATE = "trainer_state.json"
_NEEDED = (_STATE, "optimizer.pt", "scheduler.pt")  # without the last two, transformers would go on as if training began at this step


class ResumingTrainer(GRPOTrainer):  # type: ignore[misc]
    """A trl trainer that refuses damaged checkpoints.

    Raises RecordError when a file is missing, damaged, of another step, or a pickle that holds more than tensors.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        with _refuse_damaged(folder):
            if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
                raise ValueError(f"there is no {missing[0]} in it")
            if (step := TrainerState.load_from_json(str(folder / _STATE)).global_step) != checkpoints.step_of(folder):
                raise ValueError(f"its {_STATE} is of step {step}")
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _refuse_damaged(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _refuse_damaged(checkpoint):
            super()._load_rng_state(checkpoint)


@contextmanager
def _refuse_damaged(checkpoint: Path | str | None) -> Iterator[None]:
    """Turn any error while a checkpoint is read into a RecordError that says what to do."""
    advice = "remove that folder and go on with the one before it, or begin anew in another --out"
    with refuse_unreadable(f"the checkpoint {checkpoint} cannot be gone on from", advice, kind=RecordError):
        yield
