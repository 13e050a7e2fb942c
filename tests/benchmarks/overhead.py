"""Overhead beside the peers, in one run: start to first request, gap per turn, first body, memory. Prints the table of the README.

    .venv/bin/python tests/benchmarks/overhead.py [--peers VENV] [--runs 5]

Every agent gets the same prompt in the same repository and plays ten `echo hi` against a loopback endpoint that answers at once.
codagent works in Docker, mini-swe-agent in a local shell, aider has no shell and makes one request. `--peers` is a virtual environment
with both peers; without it, one is made and they are installed from PyPI.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from endpoint import Endpoint

TURNS = 10
TASK = "Say hi."
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Run:
    start_s: float
    gap_ms: float | None
    body_bytes: int
    memory_mb: float


@dataclass(frozen=True)
class Agent:
    name: str
    command: Callable[[str], Sequence[str]]
    environment: Callable[[str], dict[str, str]] = lambda url: {}
    last: str = "true"


def agents(peers: Path) -> list[Agent]:
    mini = ["-y", "--exit-immediately", "-m", "openai/mock", "-t", TASK, "-o", "/dev/null", "-c", "mini.yaml"]
    aider = [
        "--model",
        "openai/mock",
        "--message",
        TASK,
        "--yes-always",
        "--no-check-update",
        "--no-show-model-warnings",
        "--analytics-disable",
    ]
    quiet = {"MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors", "MSWEA_SILENT_STARTUP": "1", "AIDER_ANALYTICS": "false"}

    def keyed(url: str) -> dict[str, str]:
        return {"OPENAI_API_BASE": url, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True", **quiet}

    return [
        Agent("codagent, in Docker", lambda url: [str(BIN / "codagent"), "run", TASK, "--model", f"{url}#mock"]),
        Agent(
            "mini-swe-agent, local shell", lambda url: [str(peers / "bin/mini"), *mini], keyed, "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
        ),
        Agent("aider, no shell", lambda url: [str(peers / "bin/aider"), *aider], keyed),
    ]


def measure(agent: Agent, repository: Path) -> Run:
    with Endpoint(["echo hi"] * TURNS, last=agent.last) as endpoint, (repository.parent / "log").open("wb") as log:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | agent.environment(
            endpoint.url
        )
        began = time.time()
        child = subprocess.Popen(
            agent.command(endpoint.url), cwd=repository, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        _, _, usage = os.wait4(child.pid, 0)
        if not endpoint.times:
            raise SystemExit(f"{agent.name} made no request:\n{(repository.parent / 'log').read_text()[-3000:]}")
        gaps = endpoint.gaps()[: TURNS - 1]
        return Run(endpoint.times[0] - began, statistics.median(gaps) * 1000 if gaps else None, endpoint.sizes[0], usage.ru_maxrss / 1024)


def version_seconds(runs: int) -> float:
    """`codagent --version`, as a whole process."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([BIN / "codagent", "--version"], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def make_repository(folder: Path) -> Path:
    repository = folder / "repository"
    repository.mkdir()
    (repository / "README.md").write_text("# an example\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    return repository


def install_peers(folder: Path) -> Path:
    print("installing mini-swe-agent and aider from PyPI", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", "mini-swe-agent", "aider-chat"], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = agents(given.peers or install_peers(folder / "peers"))
        repository = make_repository(folder)
        for agent in chosen:
            measure(agent, repository)  # not counted: caches, bytecode
        runs = {agent.name: [measure(agent, repository) for _ in range(given.runs)] for agent in chosen}
    ours = runs[chosen[0].name]
    print("| agent | start → first request | gap per turn | first request body | memory |\n|---|---|---|---|---|")
    for label, got in runs.items():
        cells = [
            cell(got, ours, field, unit)
            for field, unit in (("start_s", "{:.2f} s"), ("gap_ms", "{:.1f} ms"), ("body_bytes", "{:,.0f} B"), ("memory_mb", "{:.0f} MB"))
        ]
        print(f"| {label} | {' | '.join(cells)} |")
    print(f"\n`codagent --version`: {version_seconds(given.runs):.2f} s.")
    print(f"Medians of {given.runs} runs after one to warm up; in brackets, times ours.")


def cell(got: Sequence[Run], ours: Sequence[Run], field: str, unit: str) -> str:
    mine, theirs = ([getattr(run, field) for run in some if getattr(run, field) is not None] for some in (ours, got))
    if not theirs:
        return "–"
    ratio = statistics.median(theirs) / statistics.median(mine)
    return unit.format(statistics.median(theirs)) + (f" ({ratio:.1f}×)" if got is not ours else "")


if __name__ == "__main__":
    main()
