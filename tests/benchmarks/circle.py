"""The whole circle, at toy size: a tiny model goes through loops in Docker, an adapter is trained on their records, and works in its place.

The model speaks a dozen phrases, among them the right change to a sample repository and a wrong one; at first it draws them at random.

.venv/bin/python tests/benchmarks/circle.py [FOLDER] [--seeds 10]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from samples import check_out, sample

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.train.doubles.phrases import phrasebook

BIN = Path(sys.executable).parent
NAME, FILE = "median", "tally/summary.py"
GROUP = 8
SHORT = 40  # attempts of one reply: one in fourteen replies is the right one, and without any there is nothing to learn for the first step
RUNS = 3  # the policy is sampled: one run that fails says little
KEYS = ("key-a", "key-b", "key-c", "key-d")


def phrases(repository: Path) -> list[str]:
    """What the model can say."""
    wrong = (repository / FILE).read_text()
    patch = Path(__file__).parents[1] / "tasks" / NAME / "solution.patch"
    subprocess.run(["git", "apply", patch], cwd=repository, check=True)
    right = (repository / FILE).read_text()
    subprocess.run(["git", "checkout", "-q", "."], cwd=repository, check=True)
    writes = [f"```write {FILE}\n{text}```" for text in (right, wrong.replace("// 2]", "// 3]"))]
    return [
        *writes,
        "```finish\nit is mended\n```",
        "```bash\nls\n```",
        "<notes>\n- sort them first\n</notes>",
        *(f"<notes>{key}</notes>" for key in KEYS),
    ]


def told(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    """What a command printed. SystemExit when it ended otherwise."""
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def loops(repository: Path, model: Path, *, iterations: int = 1, count: int = GROUP, steps: int = 4, seed: int) -> list[dict[str, Any]]:
    """A group of loops on the sample with a model, as `--json` tells of it. They begin without notes, as a first attempt does."""
    task = sample(NAME)
    checks = [part for check in task.checks for part in ("--check", check)]
    group = ("--group", str(count), "--jobs", "2", "--all", "--rewrite", "always")
    group = (*group, "--notes", str(repository.parent / f"notes-{repository.name}-{seed}.md"))
    limits = ("--iterations", str(iterations), "--max-steps", str(steps), "--seed", str(seed))
    command = ("codagent", "loop", task.instruction, "--model", f"adapter:{model}", *checks, *group, *limits, "--json")
    found: list[dict[str, Any]] = json.loads(told(*command, cwd=repository, codes=(0, 3, 9)))["loops"]
    return found


def passed(found: list[dict[str, Any]]) -> int:
    return sum(loop["outcome"] == "passed" for loop in found)


def circle(folder: Path, seed: int) -> tuple[int, int, int]:
    """How many of a group pass at the first attempt before and after, and how many of RUNS runs with the adapter pass.

    `seed` is added to the seed of everything that is drawn.
    """
    repository = check_out(NAME, folder / "repository")
    phrasebook(folder / "model", phrases(repository), read=("@guess", "@secret", "no-key", *KEYS))
    print("1. loops of the untrained model, recorded", flush=True)
    before = passed(loops(repository, folder / "model", seed=seed + 1))
    loops(repository, folder / "model", iterations=2, seed=seed + 2)
    loops(repository, folder / "model", count=SHORT, steps=1, seed=seed + 3)
    print("2. what can be learned from the records", flush=True)
    print(told("codagent-train", "check", "repository/.codagent/loops", cwd=folder), flush=True)
    print("3. replay, and play of keycode, into an adapter", flush=True)
    told("codagent-train", "run", "circle", "--out", "adapter", "--seed", str(seed), cwd=folder)
    print("4. the agent with the adapter", flush=True)
    elsewhere = check_out(NAME, folder / "elsewhere")
    after = passed(loops(elsewhere, folder / "adapter", seed=seed + 1))
    task = sample(NAME)
    run = ("codagent", "run", task.instruction, "--model", "adapter:../adapter", "--check", task.checks[0], "--max-steps", "6", "--json")
    runs = 0
    for number in range(3, 3 + RUNS):
        outcome = json.loads(told(*run, "--seed", str(seed + number), cwd=elsewhere, codes=(0, 3)))["outcome"]
        runs += outcome == "passed"
    first = f"passed at the first attempt: {before} of {GROUP} before, {after} of {GROUP} after"
    print(f"seed {seed}: {first}; then `codagent run`: {runs} of {RUNS}", flush=True)
    return before, after, runs


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    parent = given.folder or Path(tempfile.mkdtemp(prefix="codagent-circle-"))
    turned = [circle(parent / str(seed), seed) for seed in range(0, 1000 * given.seeds, 1000)]
    good = sum(after > before and runs == RUNS for before, after, runs in turned)
    print(f"{good} of {given.seeds} circles turned")
    return 0 if good == given.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
