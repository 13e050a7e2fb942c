"""What a loop costs beside its model and its checks: a scripted model, a check that does nothing, in Docker.

Seconds for each iteration more; turns per second of loops side by side, in all; and memory for each loop more.

.venv/bin/python tests/benchmarks/iterations.py [--runs 3] [--loops 8]
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples import check_out

CODAGENT = Path(sys.executable).parent / "codagent"


@dataclass(frozen=True)
class Run:
    seconds: float
    megabytes: float  # the most that the process held
    turns: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loops", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        repository = check_out("intervals", Path(name) / "repository")
        loop(repository, 1)
        ones = [loop(repository, 1) for _ in range(given.runs)]
        elevens = [loop(repository, 11) for _ in range(given.runs)]
        more = [(long.seconds - short.seconds) / 10 for short, long in zip(ones, elevens, strict=True)]
        print(f"an iteration more: {statistics.median(more):.3f} s ({min(more):.3f} to {max(more):.3f})")
        several = [loop(repository, 3, steps=30, count=given.loops) for _ in range(given.runs)]
        alone = [loop(repository, 3, steps=30) for _ in range(given.runs)]
        turns = [run.turns / run.seconds for run in several]
        print(f"{given.loops} loops at once: {statistics.median(turns):.0f} turns a second in all ({min(turns):.0f} to {max(turns):.0f})")
        one, all_ = (max(run.megabytes for run in runs) for runs in (alone, several))
        print(f"memory: {one:.0f} MB for one loop, {(all_ - one) / (given.loops - 1):.1f} MB for each more")


def loop(repository: Path, iterations: int, *, steps: int = 2, count: int = 1) -> Run:
    """Loops of so many iterations, each of so many steps."""
    script = repository.parent / "script.json"
    script.write_text(json.dumps([item for number in range(iterations) for item in _attempt(number, steps)]))
    flags = ["--iterations", iterations, "--patience", 99, "--group", count, "--jobs", count, "--all", "--max-tokens", 100_000_000]
    command = [CODAGENT, "loop", "x", "--check", "false", "--model", f"scripted:{script}", "--json", *flags]
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
    return [*({"calls": [{"name": name, "arguments": arguments}]} for name, arguments in [*calls, done]), f"<notes>{number}</notes>"]


if __name__ == "__main__":
    main()
