"""False alarms of the gate: the tests of released packages, whose code is right, and how many of them the gate would not believe.

    .venv/bin/python tests/benchmarks/twins.py [PACKAGE ...]

Each package comes from PyPI with its sources and runs in a virtual environment of its own, on this machine: its tests are run as they are,
and with the twins of each half. A test counts as doubted when its twin passes, or when it does not pass a second time. That is the worst
case, in which no test passes at the start of a task; the gate leaves out what is doubted at the start, too. Prints the table of the README.
The time on the clock means something only on a machine with nothing else to do.
`--list` names the doubted tests.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from codagent.repository.gate.runs import CheckRunner
from codagent.repository.gate.twins import mix_tests
from codagent.repository.gate.verdict import add_passes
from codagent.sandbox.local import LocalSandbox

PACKAGES = [
    "attrs",
    "boltons",
    "click",
    "humanize",
    "itsdangerous",
    "jinja2",
    "marshmallow",
    "more-itertools",
    "packaging",
    "parso",
    "toolz",
]
NEEDED = ["pytest", "hypothesis", "pretend", "freezegun", "simplejson", "cloudpickle", "trio", "tomli_w"]
REPEATS = 3
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    print("| package | tests that pass | with a working twin | doubted though right | time against pytest alone: CPU | clock |")
    print("|---|---:|---:|---:|---:|---:|")
    totals = [0, 0, 0]
    for package in options.packages:
        with tempfile.TemporaryDirectory() as folder:
            counts, (cpu, clock), doubted = measure(package, Path(folder))
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        print(row(package, *counts, f"{cpu:.1f} x | {clock:.1f} x"), flush=True)
        if options.list:
            print("\n".join(f"    {name}" for name in sorted(doubted)), file=sys.stderr)
    print(row("all", *totals, "|"))


def row(package: str, passed: int, working: int, doubted: int, times: str) -> str:
    return f"| {package} | {passed:,} | {working / passed:.1%} | {doubted} ({doubted / passed:.2%}) | {times} |"


def measure(package: str, folder: Path) -> tuple[tuple[int, int, int], tuple[float, float], set[str]]:
    """Return how many tests pass, have a working twin, and are doubted; the times as multiples, CPU and clock; and the doubted tests."""
    root, python = prepare(package, folder)
    start = git(root, "rev-parse", "HEAD")
    check = f"{python} -m pytest -q -p no:cacheprovider -p no:xdist"
    runner = CheckRunner(root, start, LocalSandbox)
    tree = git(root, "rev-parse", "HEAD^{tree}")
    run_alone(root, check)  # the first run compiles what is installed
    plain, _ = take_times(lambda: run_alone(root, check))
    mix = functools.cache(lambda: mix_tests(root, start))
    took, runs = take_times(lambda: runner.run_with_twins(tree, [check], mix, math.inf))
    (run,) = runs
    assert run.tests is not None, run.shown
    if run.tests.unsteady:
        again = [one for (one,) in runner.run_again(tree, [check], REPEATS, math.inf)]
        run = add_passes(run, again)
    assert run.tests is not None
    passed = {name for name, outcome in run.tests.outcomes.items() if outcome == "passed"}
    working = {name for name in passed if run.tests.twins.get(name) == "failed"}
    doubted = run.tests.agreeing | run.tests.unsteady
    return (len(passed), len(working - doubted), len(doubted)), (took[0] / plain[0], took[1] / plain[1]), doubted


def run_alone(root: Path, check: str) -> None:
    """Run pytest without the gate, in a copy of the repository."""
    with closing(LocalSandbox()) as sandbox:
        sandbox.run(f"git clone -q {root} . && {check}", timeout=3600)


def prepare(package: str, folder: Path) -> tuple[Path, Path]:
    """Put the sources of a package into a repository, and the package with what its tests need into a virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", package, "-d", folder], check=True, stderr=subprocess.DEVNULL)
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "source", filter="data")
    root = next((folder / "source").iterdir())
    subprocess.run([*pip, "install", *NEEDED, archive], check=True, stderr=subprocess.DEVNULL)
    git(root, "init", "-q")
    git(root, "add", "-A", "-f")
    git(root, "-c", "user.name=user", "-c", "user.email=user@localhost", "commit", "-qm", "released")
    return root, python


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def take_times(work: Callable[[], Result]) -> tuple[tuple[float, float], Result]:
    """Return the seconds of CPU and on the clock that `work` takes, and its result."""
    before = os.times()
    result = work()
    after = os.times()
    return (sum(after[:4]) - sum(before[:4]), after.elapsed - before.elapsed), result


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)
