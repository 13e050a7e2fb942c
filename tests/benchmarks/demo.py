"""The demo: a small repository with a real bug, and a model on this machine that works on it in a loop, in Docker.

With --seeds N, how often it succeeds.

.venv/bin/python tests/benchmarks/demo.py [--task NAME] [--seeds N] [--model embedded]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from samples import Sample, check_out, names, sample

CODAGENT = Path(sys.executable).parent / "codagent"


def command(task: Sample, model: str, *more: str) -> list[str]:
    checks = [part for check in task.checks for part in ("--check", check)]
    return [str(CODAGENT), "loop", task.instruction, "--iterations", "8", "--model", model, *checks, *more]


def demo(task: Sample, model: str, folder: Path) -> int:
    """One run, as a person sees it; an honest exit code."""
    repository = check_out(task.name, folder / task.name)
    print(f"the sample repository `{task.name}` lies in {repository}; its bug: {task.bug}\n", flush=True)
    began = time.monotonic()
    code = subprocess.run(command(task, model, "--seed", "1"), cwd=repository, stdin=subprocess.DEVNULL, check=False).returncode
    print(f"time:    {time.monotonic() - began:.0f} s, exit code {code}\n", flush=True)
    changed = subprocess.run([CODAGENT, "diff"], cwd=repository, capture_output=True, text=True, check=False)
    print(changed.stdout or changed.stderr, flush=True)
    return code


def seeds(task: Sample, model: str, count: int, folder: Path) -> None:
    """The same task with `count` seeds, each in a repository of its own; records are kept for reading."""
    passed, times = 0, []
    for seed in range(1, count + 1):
        repository = check_out(task.name, folder / f"{task.name}-{seed}")
        done = subprocess.run(
            command(task, model, "--seed", str(seed), "--json"),
            cwd=repository,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if not done.stdout:
            raise SystemExit(f"seed {seed}: exit {done.returncode}: {done.stderr[-2000:]}")
        result = json.loads(done.stdout)
        passed += result["passed"]
        times.append(result["seconds"])
        tries = f"{result['iterations']} iterations {result['seconds']:5.0f} s"
        print(f"{task.name}, seed {seed:>2}: {result['outcome']:<8} {tries}  {result['record']}", flush=True)
    spread = f"median {statistics.median(times):.0f} s, {min(times):.0f} to {max(times):.0f}"
    print(f"{task.name}: {passed} of {count} passed, {spread}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=[*names(), "all"], default="median")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="codagent-demo-"))
    if not given.seeds:
        return demo(sample(given.task), given.model, folder)
    for name in names() if given.task == "all" else [given.task]:
        seeds(sample(name), given.model, given.seeds, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
