"""A trl trainer that goes on from a checkpoint of which it reads every file, or says in one sentence which cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerState
from trl import GRPOTrainer

from codagent.errors import RecordError
from codagent_train import checkpoint as checkpoints
from codagent_train.folder import refuse_unreadable

_STATE = "trainer_state.json"
_FILES = (_STATE, "optimizer.pt", "scheduler.pt")  # trl would go on without the last two, as if training began there


class ResumingTrainer(GRPOTrainer):  # type: ignore[misc]
    """RecordError when a checkpoint is damaged, or holds a pickle of more than tensors; torch and transformers raise anything."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        with _refused(folder):
            if missing := [name for name in _FILES if not (folder / name).is_file()]:
                raise ValueError(f"there is no {missing[0]} in it")
            if (step := TrainerState.load_from_json(str(folder / _STATE)).global_step) != checkpoints.step_of(folder):
                raise ValueError(f"its {_STATE} is of step {step}")
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _refused(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _refused(checkpoint):
            super()._load_rng_state(checkpoint)


@contextmanager
def _refused(checkpoint: Path | str | None) -> Iterator[None]:
    advice = "remove that folder and go on with the one before it, or begin anew in another --out"
    with refuse_unreadable(f"the checkpoint {checkpoint} cannot be gone on from", advice, kind=RecordError):
        yield
