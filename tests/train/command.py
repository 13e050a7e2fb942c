"""The `codagent-train` command."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.fork_server import ForkServer

TRAIN = Path(sys.executable).parent / "codagent-train"
TRAIN_MODULES = ("codagent_train.cli", "torch", "peft", "trl.trainer.grpo_trainer", "codagent_train.training.trainer")


def run_train(*arguments: object, cwd: Path | None = None, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in the environment of the tests and some variables more."""
    return _server().run(*arguments, cwd=cwd or Path.cwd(), env=os.environ | environment, stdin=stdin, timeout=250)


@cache
def _server() -> ForkServer:
    return ForkServer(TRAIN, TRAIN_MODULES)
