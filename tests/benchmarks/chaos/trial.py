"""One command that is killed and gone on with: what is the same for a run, a loop, a group, a session and a training."""

from __future__ import annotations

import difflib
import os
import pprint
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codagent.errors import RecordError
from codagent.sandbox.docker.engine import connect
from codagent.store.ledger import read_spent
from codagent.store.record import load
from codagent.types import Loop
from tests.fork_server import Call

BIN = Path(sys.executable).parent
MAX_TOKENS = 200_000
PATIENCE_S = 300.0  # for a command that is not killed, on a busy machine
_END_S = 60.0  # for a command that was asked to end
_HARMFUL = {1, 7}  # a bug; a record that cannot be gone on with

Command = list[Any]
Running = subprocess.Popen[bytes] | Call


@dataclass
class Trial:
    """A repository, a script for the model, and what was done to the command."""

    folder: Path
    kills: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "repository"

    @property
    def script(self) -> Path:
        return self.folder / "script.json"

    @property
    def log(self) -> Path:
        """What the last command printed, unless it had a terminal."""
        return self.folder / "log"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files, which nothing else uses."""
        return self.folder / "tmp"

    def records(self) -> list[Path]:
        """The records that can be gone on with."""
        found = []
        for file in sorted(self.root.glob(".codagent/loops/*/record.jsonl")):
            with suppress(RecordError):
                load(file)
                found.append(file)
        return found

    def loops(self) -> list[Loop]:
        return [load(file) for file in self.records()]

    def environment(self) -> dict[str, str]:
        return dict(os.environ) | {"TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1", "TERM": "dumb"}

    def read_log(self) -> str:
        return self.log.read_text()[-1500:] if self.log.exists() else ""

    def tear(self, rng: random.Random) -> None:
        """Cut the last line of a record or of a ledger somewhere."""
        if not (records := self.records()):
            return
        file = rng.choice(records).with_name(rng.choice(["record.jsonl", "ledger.jsonl"]))
        data = file.read_bytes() if file.exists() else b""
        if start := data.rstrip(b"\n").rfind(b"\n") + 1:
            file.write_bytes(data[: rng.randint(start, len(data))])
            self.kills[-1] += f", {file.name} torn"


Talk = Callable[[Trial, int], None]


@dataclass(frozen=True)
class Blow:
    """What is done to a command: a signal for it and all its children, or a restart of the engine under it."""

    name: str
    after: float  # seconds
    strike: Callable[[int], None]
    gentle: bool  # the command ends by itself, with its exit code

    @classmethod
    def signalled(cls, number: signal.Signals, after: float) -> Blow:
        """A signal to the process group, as a closed terminal and a service manager send it."""
        return cls(number.name, after, lambda pid: os.killpg(pid, number), number != signal.SIGKILL)


def start(trial: Trial, command: Command, talk: Talk | None = None) -> Running:
    """Start a command in a session of its own. What it prints goes to the trial's log.

    `talk` is given a terminal's descriptor, and speaks with the command; None: the command has no terminal, and its input is empty.
    """
    options: dict[str, Any] = {"cwd": trial.root, "env": trial.environment(), "start_new_session": True}
    if talk is None:
        with trial.log.open("wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)
    ours, theirs = os.openpty()
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    threading.Thread(target=talk, args=(trial, ours), daemon=True).start()
    return running


def strike(trial: Trial, running: Running, blow: Blow | None) -> bool:
    """Strike a command while it runs, and wait for its end. Returns whether it ended undisturbed, with exit code 0.

    AssertionError where it ends in a way that it must not.
    """
    if blow is None:
        code = _wait(running, PATIENCE_S, "nothing was done to it")
    else:
        with suppress(subprocess.TimeoutExpired):
            return running.wait(blow.after) == 0 or _refuse(trial, running.wait())
        trial.kills.append(f"{blow.name} after {blow.after:.2f} s")
        blow.strike(running.pid)
        code = _wait(running, _END_S, trial.kills[-1])
        if not blow.gentle or code != 0:
            assert code not in _HARMFUL, (blow.name, code, trial.read_log())
            return False
    return code == 0 or _refuse(trial, code)


def _wait(running: Running, seconds: float, why: str) -> int:
    """Wait for the end of a command, and return its exit code. AssertionError, and the command is killed, when it does not end."""
    try:
        return running.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        raise AssertionError(f"it did not end in {seconds:.0f} s: {why}") from None


def _refuse(trial: Trial, code: int) -> bool:
    raise AssertionError(f"exit code {code} though nothing was done to it: {trial.read_log()}")


def check_what_is_left(trial: Trial) -> None:
    """AssertionError unless the ledgers add up, the repository is whole and nothing is left on the engine or in the temporary folder."""
    for record in trial.records():
        spent = read_spent(record.with_name("ledger.jsonl"))
        assert 0 <= spent.tokens <= MAX_TOKENS, spent
        assert not record.with_name("lock").exists() or not _held(record.with_name("lock"))
        _wait_for_containers(record.parent.name)
    git(trial.root, "fsck", "--strict", "--no-dangling")
    left = [file.name for file in trial.temporary.iterdir() if file.name.startswith("codagent")]
    assert not left, f"left in the temporary folder: {left}"


def _held(lock: Path) -> bool:
    words = lock.read_text().split()
    return bool(words) and Path(f"/proc/{words[0]}").exists()


def _wait_for_containers(loop: str) -> None:
    deadline = time.monotonic() + 30
    while left := connect().containers(all=True, filters={"label": [f"codagent.loop={loop}"]}):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def compare(result: Any, expected: Any) -> str:
    """Return the lines in which two results differ."""
    lines = difflib.unified_diff(pprint.pformat(expected).splitlines(), pprint.pformat(result).splitlines(), "expected", "result", n=1)
    return "\n".join(lines)


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
