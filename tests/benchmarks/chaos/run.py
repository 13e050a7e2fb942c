"""A trial from its beginning to its end: undisturbed, or struck at random moments."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.chaos.engine import Engine
from tests.benchmarks.chaos.kinds import Kind
from tests.benchmarks.chaos.trial import Blow, Trial, check_what_is_left, compare, strike

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.5  # the share of resumed commands that are struck once more
_TORN = 0.3  # the share of kills after which a file is torn
_EARLIEST_S = 0.2


def undisturbed(kind: Kind, folder: Path) -> tuple[Any, float]:
    """Return what the command comes to by itself, and its seconds."""
    trial = kind.begin(folder)
    began = time.monotonic()
    strike(trial, kind.start(trial, kind.command(trial) or []), None)
    seconds = time.monotonic() - began
    check_what_is_left(trial)
    return kind.result(trial), seconds


def disturb(kind: Kind, trial: Trial, rng: random.Random, expected: Any, seconds: float, engine: Engine | None = None) -> None:
    """Strike a command once, and with some luck again, and go on with it to its end. AssertionError unless it ends as `expected`.

    The folder of a trial that ended well is removed.
    """
    blow: Blow | None = _choose(rng, 0.9 * seconds, engine)
    while (command := kind.command(trial)) is not None:
        if not strike(trial, kind.start(trial, command), blow) and rng.random() < _TORN and "SIGKILL" in trial.kills[-1]:
            trial.tear(rng)
        blow = _choose(rng, seconds, engine) if rng.random() < _AGAIN else None
    result = kind.result(trial)
    assert result == expected, compare(result, expected)
    check_what_is_left(trial)
    shutil.rmtree(trial.folder)


def _choose(rng: random.Random, seconds: float, engine: Engine | None) -> Blow:
    """Choose what happens to a command, and when. Every second blow restarts the engine, where there is one to restart."""
    after = rng.uniform(_EARLIEST_S, max(_EARLIEST_S, seconds))
    if engine is not None and rng.random() < 0.5:  # a coin
        return Blow("restart", after, lambda _: engine.restart(), gentle=True)
    return Blow.signalled(rng.choice(_SIGNALS), after)
