"""A scripted loop in Docker, killed with all its children at random moments and taken up again until it ends; beside it, the same loop
undisturbed. What comes out must be the same. Now and then the last line of a file is torn as well, as a loss of power does.

.venv/bin/python tests/benchmarks/chaos.py [--kills 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codagent.errors import RecordError
from codagent.sandbox.docker.engine import connect
from codagent.store.record import load

CODAGENT = Path(sys.executable).parent / "codagent"
CHECKS = ["--check", "grep -q 3 answer.txt", "--check", "test -e part2.txt"]
MAX_TOKENS = 200_000


@dataclass(frozen=True)
class Ended:
    """What must be the same however often it was broken off."""

    story: Any
    trees: list[str]
    notes: str


@dataclass
class Trial:
    """One loop and what was done to it."""

    root: Path
    kills: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def folder(self) -> Path | None:
        """That of the loop, once it has a record that can be gone on with."""
        for file in sorted(self.root.glob(".codagent/loops/*/record.jsonl")):
            with suppress(RecordError):
                load(file)
                return file.parent
        return None

    def run(self, *, kill_after: float | None = None) -> dict[str, Any] | None:
        """Begin, or go on, to the end, whose JSON object it gives; or until it is killed."""
        folder = self.folder
        if self.over():
            return {}
        limits = ["--max-tokens", str(MAX_TOKENS), "--iterations", "4", "--rewrite", "always"]
        begin = ["mend it", "--model", f"scripted:{self.root.parent / 'script.json'}", *CHECKS, *limits]
        command = [CODAGENT, "loop", *(["--resume", folder.name] if folder else begin), "--json"]
        began = time.monotonic()
        running = subprocess.Popen(
            command,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = running.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            self.kills.append(f"after {kill_after:.2f} s")
            return None
        self.seconds = time.monotonic() - began
        assert running.returncode == 0, (running.returncode, err)
        return dict(json.loads(out))

    def over(self) -> bool:
        return self.folder is not None and load(self.folder / "record.jsonl").end == "passed"

    def tear(self, rng: random.Random) -> None:
        """Cut the last line of the record or of the ledger somewhere."""
        if self.folder is None or self.over():
            return
        file = self.folder / rng.choice(["record.jsonl", "ledger.jsonl"])
        data = file.read_bytes()
        if start := data.rstrip(b"\n").rfind(b"\n") + 1:
            file.write_bytes(data[: rng.randint(start, len(data))])
            self.kills[-1] += f", {file.name} torn"

    def ended(self) -> Ended:
        assert self.folder
        loop = load(self.folder / "record.jsonl")
        story = [
            (one.kind, one.position, one.end, one.outcome, one.notes_before, one.notes_after, [_said(step) for step in one.steps])
            for one in loop.episodes
        ]
        refs = (f"refs/codagent/{loop.id}/", f"refs/heads/codagent/{loop.id}")
        trees = _git(self.root, "for-each-ref", "--format=%(tree)", *refs).split()
        return Ended((story, loop.end), trees, (self.root / ".codagent/notes.md").read_text())


def script() -> list[Any]:
    """Three attempts with three commands each, and the notes after each."""

    def attempt(number: int) -> list[Any]:
        commands = [f"echo {number} > answer.txt", f"seq {number}000 > part{number}.txt; sleep 0.1", "cat answer.txt; ls"]
        calls = [{"calls": [{"name": "bash", "arguments": {"command": command}}]} for command in commands]
        done = {"calls": [{"name": "finish", "arguments": {"summary": f"attempt {number}"}}]}
        return [*calls, done, f"So it is.\n<notes>\n## Facts\nattempt {number} was made\n</notes>"]

    return [item for number in (1, 2, 3) for item in attempt(number)]


def begin(folder: Path) -> Trial:
    """A repository for a loop, with notes that somebody left there."""
    root = folder / "repository"
    root.mkdir(parents=True)
    (folder / "script.json").write_text(json.dumps(script()))
    (root / "answer.txt").write_text("0\n")
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "-A")
    _git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    (root / ".codagent").mkdir()
    (root / ".codagent/notes.md").write_text("from before\n")
    return Trial(root)


def undisturbed(folder: Path) -> tuple[Ended, float]:
    trial = begin(folder)
    assert trial.run()
    return trial.ended(), trial.seconds


def disturbed(folder: Path, rng: random.Random, expected: Ended, seconds: float) -> Trial:
    """A loop that is killed once, and with some luck again; AssertionError unless it ends as `expected`."""
    trial = begin(folder)
    result = trial.run(kill_after=rng.uniform(0.2, 0.9 * seconds))
    while result is None:
        if rng.random() < 0.3:
            trial.tear(rng)
        result = trial.run(kill_after=rng.uniform(0.2, seconds) if rng.random() < 0.3 else None)
    ended = trial.ended()
    for name in ("story", "trees", "notes"):
        assert getattr(ended, name) == getattr(expected, name), f"{name}: {getattr(ended, name)} is not {getattr(expected, name)}"
    _check_what_is_left(trial, result)
    return trial


def _check_what_is_left(trial: Trial, result: dict[str, Any]) -> None:
    assert trial.folder
    entries = [json.loads(line) for line in (trial.folder / "ledger.jsonl").read_text().splitlines()]
    spent = sum(entry["tokens"] for entry in entries)
    if result:  # else it was killed after its last word
        assert spent == result["tokens"], (spent, result)
        assert not (trial.folder / "lock").exists()
        assert not (trial.root / ".codagent/notes.md.lock").exists()
    assert 0 < spent <= MAX_TOKENS
    assert _git(trial.root, "status", "--short", "--ignored") == "!! .codagent/\n"
    _git(trial.root, "fsck", "--strict", "--no-dangling")
    deadline = time.monotonic() + 20
    while left := connect().containers(all=True, filters={"label": [f"codagent.loop={trial.folder.name}"]}):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _said(step: Any) -> Any:
    calls = [(call.name, call.arguments) for call in step.reply.message.tool_calls]
    return step.reply.raw, calls, [message.content for message in step.observation.messages], step.observation.end


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, kills, trials, failures = random.Random(given.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        expected, seconds = undisturbed(Path(name) / "undisturbed")
        while kills < given.kills:
            trials += 1
            try:
                done = disturbed(Path(name) / str(trials), rng, expected, seconds)
                kills += len(done.kills)
                print(f"{kills:>4}  {'; '.join(done.kills) or 'ended before it was killed'}: the same", flush=True)
            except AssertionError as error:
                failures, kills = failures + 1, kills + 1
                print(f"{kills:>4}  DIFFERS: {str(error)[:2000]}", flush=True)
    print(f"{kills} kills of {trials} loops, {seconds:.1f} s each undisturbed: {failures} ended otherwise")


if __name__ == "__main__":
    main()
