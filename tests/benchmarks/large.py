"""A large repository: 5,000 files and 100 MB. Seconds from the start of `codagent run` until the agent's first command, warm.

.venv/bin/python tests/benchmarks/large.py [--files 5000] [--megabytes 100] [--runs 5]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from samples import commit

CODAGENT = Path(sys.executable).parent / "codagent"


def make(folder: Path, files: int, megabytes: int) -> Path:
    """Files of text and, every tenth, of noise that does not compress."""
    rng = random.Random(0)
    size = megabytes * 1_000_000 // files
    words = [f"word{n}" for n in range(2000)]
    for number in range(files):
        path = folder / f"part{number % 50:02}" / f"file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = " ".join(rng.choices(words, k=size // 9)).encode() + b"\n"
        path.write_bytes(rng.randbytes(size) if number % 10 == 0 else (text * 2)[:size])
    commit(folder)
    return folder


def first_command(repository: Path, script: Path) -> float:
    began = time.time()
    run = [CODAGENT, "run", "look", "--model", f"scripted:{script}", "--json"]
    done = subprocess.run(run, cwd=repository, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    record = Path(json.loads(done.stdout)["record"]).read_text().splitlines()
    answer = next(json.loads(line) for line in record if line.startswith('{"observation"'))
    return float(answer["observation"]["observation"]["messages"][0]["content"].split()[-1]) - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        repository = make(Path(name) / "repository", given.files, given.megabytes)
        script = Path(name) / "script.json"
        calls = [("bash", {"command": "date +%s.%N"}), ("finish", {"summary": "done"})]
        script.write_text(json.dumps([{"calls": [{"name": tool, "arguments": arguments}]} for tool, arguments in calls]))
        first_command(repository, script)
        times = [first_command(repository, script) for _ in range(given.runs)]
    told = f"{statistics.median(times):.2f} s until the first command ({min(times):.2f} to {max(times):.2f})"
    print(f"{given.files:,} files, {given.megabytes} MB: {told}")


if __name__ == "__main__":
    main()
