"""A long episode: 1,000 scripted steps in Docker. Time per step at its end over that at its start, and how the record grows.

.venv/bin/python tests/benchmarks/endurance.py [--steps 1000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from samples import check_out

CODAGENT = Path(sys.executable).parent / "codagent"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as name:
        repository = check_out("intervals", Path(name) / "repository")
        script = Path(name) / "script.json"
        calls = [{"calls": [{"name": "bash", "arguments": {"command": f"echo step {n}; ls freebusy"}}]} for n in range(1, steps)]
        script.write_text(json.dumps([*calls, {"calls": [{"name": "finish", "arguments": {"summary": "done"}}]}]))
        limits = ["--max-steps", str(steps), "--max-tokens", "1000000000"]
        run = [CODAGENT, "run", "echo", "--model", f"scripted:{script}", "--json", *limits]
        done = subprocess.run(run, cwd=repository, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        lines = Path(json.loads(done.stdout)["record"]).read_bytes().splitlines(keepends=True)
    seconds = [json.loads(line)["observation"]["seconds"] for line in lines if line.startswith(b'{"observation"')]
    first, last = statistics.median(seconds[:100]), statistics.median(seconds[-100:])
    half = sum(map(len, lines[: len(lines) // 2]))
    print(f"steps {len(seconds)} · first hundred {first * 1000:.2f} ms · last hundred {last * 1000:.2f} ms · ratio {last / first:.2f}")
    print(f"record {sum(map(len, lines)):,} bytes · whole over half {sum(map(len, lines)) / half:.2f} (2 is linear)")


if __name__ == "__main__":
    main()
