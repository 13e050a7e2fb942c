"""What a loop costs beside its model and its checks: a scripted model, a check that does nothing, in Docker.

Seconds for each iteration more, also when the check is the repository's tests, which run with twins, beside what these tests take alone;
turns per second of loops side by side, in all; and memory for each loop more.

The model takes --reply-seconds for each reply, and the iterations are told without that time: what codagent does while the model works
costs nothing then, as with a real one.

.venv/bin/python tests/benchmarks/iterations.py [--runs 3] [--loops 8] [--reply-seconds 0.5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples import check_out

from codagent.repository import git
from codagent.sandbox.definition import load_definition
from codagent.sandbox.docker.sandbox import DockerSandbox

CODAGENT = Path(sys.executable).parent / "codagent"
TESTS = "python3 -m pytest -q"


@dataclass(frozen=True)
class Run:
    seconds: float
    megabytes: float  # the most that the process held
    turns: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loops", type=int, default=8)
    parser.add_argument("--reply-seconds", type=float, default=0.5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        repository = check_out("intervals", Path(name) / "repository")
        loop(repository, 1)
        for check in ("false", TESTS):
            ones = [loop(repository, 1, check=check, reply_seconds=given.reply_seconds) for _ in range(given.runs)]
            elevens = [loop(repository, 11, check=check, reply_seconds=given.reply_seconds) for _ in range(given.runs)]
            of_model = 3 * given.reply_seconds
            more = [(long.seconds - short.seconds) / 10 - of_model for short, long in zip(ones, elevens, strict=True)]
            print(f"an iteration more, {check}: {sum_up(more)}")
        print(f"the tests alone, in a running container: {sum_up([time_tests(repository) for _ in range(given.runs)])}")
        several = [loop(repository, 3, steps=30, count=given.loops) for _ in range(given.runs)]
        alone = [loop(repository, 3, steps=30) for _ in range(given.runs)]
        turns = [run.turns / run.seconds for run in several]
        print(f"{given.loops} loops at once: {statistics.median(turns):.0f} turns a second in all ({min(turns):.0f} to {max(turns):.0f})")
        one, all_ = (max(run.megabytes for run in runs) for runs in (alone, several))
        print(f"memory: {one:.0f} MB for one loop, {(all_ - one) / (given.loops - 1):.1f} MB for each more")


def sum_up(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


def time_tests(repository: Path) -> float:
    """Return the seconds that the tests take in a container that is already there."""
    with closing(DockerSandbox.start(load_definition("python"), loop="iterations")) as sandbox:
        for file in git.list_files(repository, "HEAD"):
            sandbox.write(file, git.read_file(repository, "HEAD", file))
        began = time.monotonic()
        result = sandbox.run(TESTS, timeout=60)
        assert result.exit_code == 1, result
        return time.monotonic() - began


def loop(repository: Path, iterations: int, *, steps: int = 2, count: int = 1, check: str = "false", reply_seconds: float = 0.0) -> Run:
    """Loops of so many iterations, each of so many steps."""
    script = repository.parent / "script.json"
    script.write_text(json.dumps([{**item, "seconds": reply_seconds} for number in range(iterations) for item in _attempt(number, steps)]))
    flags = ["--iterations", iterations, "--patience", 99, "--group", count, "--jobs", count, "--all", "--max-tokens", 100_000_000]
    command = [CODAGENT, "loop", "x", "--check", check, "--model", f"scripted:{script}", "--json", *flags]
    began = time.monotonic()
    running = subprocess.Popen(
        [str(word) for word in command], cwd=repository, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdout
    told = json.loads(running.stdout.read())
    _, status, usage = os.wait4(running.pid, 0)
    seconds = time.monotonic() - began
    running.returncode = os.waitstatus_to_exitcode(status)
    assert (running.returncode, told["iterations"]) == (3, iterations), told
    return Run(seconds, usage.ru_maxrss / 1024, count * iterations * (steps + 1))


def _attempt(number: int, steps: int) -> list[Any]:
    calls = [("bash", {"command": f"echo {number} {step} > touched.txt"}) for step in range(steps - 1)]
    done = ("finish", {"summary": "done"})
    notes = {"content": f"<notes>{number}</notes>"}
    return [*({"calls": [{"name": name, "arguments": arguments}]} for name, arguments in [*calls, done]), notes]


if __name__ == "__main__":
    main()
