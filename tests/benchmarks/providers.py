"""Runs in Docker against strict imitations of model providers: what each wants back, and how much of a prompt comes from its cache.

No real provider is asked. Prints the table of the README.

.venv/bin/python tests/benchmarks/providers.py [--steps 12]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from samples import check_out

from tests.models.providers import PROVIDERS, Provider
from tests.models.providers.anthropic import Anthropic
from tests.models.providers.double import serve, steps

CODAGENT = Path(sys.executable).parent / "codagent"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    given = parser.parse_args()
    print("| name to type | imitated; what has to come back | exit | replies | from the cache at step 10 | cost |")
    print("|---|---|---|---|---|---|")
    for name, provider in PROVIDERS.items():
        print(measure(name, provider, given.steps), flush=True)


def measure(name: str, provider: Provider, count: int) -> str:
    """Run the command with an imitation, and return a row of the table."""
    double = provider.double(steps(count))
    with tempfile.TemporaryDirectory() as folder, serve(double) as url:
        repository = check_out("intervals", Path(folder) / "repository")
        (repository / "answer.txt").write_text("wrong\n")
        flags = ["--model", name, "--check", "grep -q right answer.txt", "--json"]
        command = [CODAGENT, "run", "put right into answer.txt", *flags]
        env = os.environ | provider.environment(url) | {"XDG_CONFIG_HOME": folder}
        done = subprocess.run(command, cwd=repository, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    cost = f"${told['usd']:.4f}"
    if isinstance(double, Anthropic):
        cost += f", billed ${double.bill:.4f}"
    share = f"{double.sent[9].share:.0%}" if len(double.sent) > 9 else ""
    return f"| `{name}` | {type(double).__name__}; {provider.wants} | {done.returncode} | {len(double.sent)} | {share} | {cost} |"


if __name__ == "__main__":
    main()
