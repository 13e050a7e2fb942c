"""Counts at how many made tasks the first message for a small model shows the function that has the bug.

    .venv/bin/python tests/benchmarks/shown_code.py DIR

DIR is what `codagent-train tasks REPO --out DIR` made. The checks run on this machine, with the Python that runs this; their output is cut
as that of the model's own tools.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from contextlib import closing
from pathlib import Path

from codagent.models.open import profile_for
from codagent.repository.gate.suspects import find_suspects, weigh
from codagent.repository.messages.repo_map import select_files
from codagent.sandbox.local import LocalSandbox
from codagent.text import truncate_middle

PROFILE = profile_for("embedded:qwen2.5-coder-0.5b")


def main() -> None:
    root = Path(sys.argv[1])
    rows = [json.loads(line) for line in (root / "tasks.jsonl").read_text().splitlines()]
    shown = [shows_bug(root, row) for row in rows]
    print(f"{sum(shown)} of {len(shown)} first messages show the function that has the bug")


def shows_bug(root: Path, row: dict[str, str]) -> bool:
    task = tomllib.loads((root / row["part"] / f"{row['id']}.toml").read_text())["task"][0]
    with closing(LocalSandbox()) as sandbox:
        repository = root / "repositories" / row["repository"]
        sandbox.run(f"git clone -q {repository} . && git checkout -q {row['start']}", timeout=60)
        check = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']} {row['check']}"
        output = sandbox.run(check, timeout=300).output
        output = truncate_middle(output, max_lines=PROFILE.output_lines, max_bytes=PROFILE.output_bytes)
        paths = sandbox.run("git ls-files", timeout=60).output.split()
        suspicions = weigh(find_suspects(sandbox, [check]))
        files = select_files(sandbox, paths, f"{task['instruction']}\n{output}", PROFILE.fill_tokens, suspicions)
    name = row["function"].split(".")[-1]
    shown = any(file.path == row["path"] and f"def {name}(" in file.text for file in files)
    print(f"{row['id']}  {row['path']} {row['function']}: {'shown' if shown else 'not shown'}", flush=True)
    return shown


if __name__ == "__main__":
    main()
