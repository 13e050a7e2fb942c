"""Limits at random over loops that are killed at random and taken up again: how much of a limit was used at most. No share may pass 1.

Tokens and money are those that the model billed, replies that a kill lost among them. Time is what each session took, from its ledger's
first line to its last sign of life; to write down what came of it takes a moment after its end.

.venv/bin/python tests/benchmarks/budget.py [--loops 300] [--timed 10] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, run_loop
from codagent.protocols import OnText, ignore_text
from codagent.store.ledger import Ledger
from codagent.store.metered_model import MeteredModel
from codagent.store.price import Price
from codagent.store.record import Record, load
from codagent.types import Limits, Loop, Message, Observation, Outcome, Profile, Reply, Sampling, Task, Tool

CODAGENT = Path(sys.executable).parent / "codagent"


class Killed(BaseException):
    """What nothing catches."""


@dataclass
class Provider:
    """A model that bills a token for every three bytes that it is sent, and writes up to as many as it may."""

    rng: random.Random
    price: Price
    kill: float
    tokens: int = 0
    usd: float = 0.0
    name: str = "provider"

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        self._perhaps_killed()
        prompt = sum(len(message.content.encode()) for message in messages) // 3
        written = self.rng.choice([sampling.max_tokens, self.rng.randint(1, sampling.max_tokens)])
        cost = prompt * self.price.prompt_usd + written * self.price.completion_usd
        self.tokens += prompt + written
        self.usd += cost
        self._perhaps_killed()
        message = Message("assistant", f"<notes>{'n' * min(written, 300)}</notes>")
        return Reply(message, "stop", prompt, written, self.rng.choice([None, cost]), None, sampling, "p", "")

    def close(self) -> None:
        pass

    def _perhaps_killed(self) -> None:
        if self.rng.random() < self.kill:
            raise Killed


@dataclass
class Room:
    """An environment that answers at length and ends an episode when it likes."""

    rng: random.Random
    tools: tuple[Tool, ...] = ()
    passes = False

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        return Message("system", "work"), Message("user", f"{task.instruction} {notes} {'f' * self.rng.randint(0, 4000)}")

    def step(self, message: Message) -> Observation:
        return Observation((Message("user", "y" * self.rng.randint(0, 3000)),), "finished" if self.rng.random() < 0.2 else None)

    def grade(self) -> Outcome:
        return Outcome(0.0, False, "no")

    def save_work(self, outcome: Outcome | None) -> None:
        pass

    def describe_state(self) -> str:
        return "z" * 500


def spend(folder: Path, rng: random.Random) -> tuple[float, float, int]:
    """The shares of the limits of tokens and of money that a loop used, and how often it was killed."""
    limits = Limits(iterations=1000, tokens=rng.randint(2_000, 200_000), usd=rng.uniform(0.01, 1.0))
    price = Price(rng.uniform(1e-7, 1e-5), rng.uniform(1e-7, 5e-5))
    provider, kills = Provider(rng, price, kill=rng.choice([0.0, 0.02, 0.1])), -1
    loop: Loop | None = Loop("loop", "loop", "room", "provider", "start")
    record, ledger = folder / "record.jsonl", folder / "ledger.jsonl"
    while loop and loop.end not in ("tokens", "usd"):
        kills += 1
        loop = _session(load(record) if record.exists() else loop, record, MeteredModel(provider, Ledger(ledger, limits, price)), rng)
        loop = loop or load(record)
    spent = Ledger(ledger, limits, price).spent
    assert limits.usd
    assert provider.tokens <= spent.tokens <= limits.tokens
    assert provider.usd <= spent.usd + 1e-9
    assert spent.usd <= limits.usd + 1e-9
    return provider.tokens / limits.tokens, provider.usd / limits.usd, kills


def _session(loop: Loop, path: Path, model: MeteredModel, rng: random.Random) -> Loop | None:
    """The loop at its end; None when it was killed."""
    profile = Profile(steps=20, repeats=99, sampling=Sampling(max_tokens=rng.randint(50, 4000)))
    with closing(Record(path, loop)) as record:
        agent = Agent(model, profile, (record,))
        try:
            loop = run_loop(agent, Room(rng), lambda _: Task("task", "do it"), loop=loop, notes_io=NotesIO("always"))
        except Killed:
            return None
        record.finish(str(loop.end))
        return loop


def last(folder: Path, rng: random.Random) -> float:
    """By how many seconds a loop of the installed command, killed once or not at all, was longer than its limit."""
    root, limit = folder / "repository", rng.uniform(2.0, 5.0)
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    bash = {"calls": [{"name": "bash", "arguments": {"command": f"sleep {rng.uniform(0.05, 2):.2f}; date +%N > x"}}]}
    script: list[Any] = [bash, {"calls": [{"name": "finish", "arguments": {"summary": "x"}}]}, "<notes>n</notes>"]
    (folder / "script.json").write_text(json.dumps(script * 200))
    flags = ["--sandbox", "local", "--max-seconds", f"{limit:.3f}", "--iterations", "99", "--patience", "99"]
    command = [CODAGENT, "loop", "x", "--check", f"sleep {rng.uniform(0, 0.5):.2f}; false", "--model", f"scripted:{folder}/script.json"]
    code, took = _until_its_end([*command, *flags], root, limit, kill_after=rng.uniform(0.5, limit) if rng.random() < 0.5 else None)
    while code == -signal.SIGKILL and not load(record := next(root.glob(".codagent/loops/*/record.jsonl"))).end:
        code, took = _until_its_end([CODAGENT, "loop", "--resume", record.parent.name, "--sandbox", "local"], root, limit, earlier=took)
    assert code in (8, -signal.SIGKILL), code  # it may have been at its end already when it was killed
    return took - limit


def _until_its_end(
    command: list[Any], root: Path, limit: float, *, kill_after: float | None = None, earlier: float = 0.0
) -> tuple[int, float]:
    """The exit code, and the seconds of this session and the earlier ones. It is killed so long after it has begun its record.

    AssertionError when it asked the model after its limit.
    """
    running = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while kill_after and not any(root.glob(".codagent/loops/*/record.jsonl")):
        time.sleep(0.02)
    try:
        running.wait(kill_after)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
    folder = next(root.glob(".codagent/loops/*/ledger.jsonl")).parent
    entries = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    opened = [entry["at"] for entry in entries if entry["entry"] == "open"][-1]
    asked = max(entry["at"] for entry in entries if entry["entry"] != "settle")
    assert earlier + asked - opened <= limit
    sign = max(entries[-1]["at"], (folder / "record.jsonl").stat().st_mtime)
    return running.returncode, earlier + sign - opened


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loops", type=int, default=300)
    parser.add_argument("--timed", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, str(number)) for number in range(given.loops + given.timed)]
        for folder in folders:
            folder.mkdir()
        spent = [spend(folder, rng) for folder in folders[: given.loops]]
        timed = [last(folder, rng) for folder in folders[given.loops :]]
    told = f"tokens {max(share[0] for share in spent):.4f} · money {max(share[1] for share in spent):.4f}"
    print(f"{given.loops} loops, killed {sum(share[2] for share in spent)} times: largest share of a limit: {told}")
    if timed:
        print(f"{given.timed} loops of 2 to 5 s: the longest took {max(timed):+.2f} s of its limit")


if __name__ == "__main__":
    main()
