"""Counts at how many made tasks the first message for a small model shows the function that has the bug, and names it; and the bytes.

    .venv/bin/python tests/benchmarks/shown_code.py DIR

DIR is what `codagent-train tasks REPO --out DIR` made. The checks run on this machine, with the Python that runs this.
"""

from __future__ import annotations

import json
import sys
import tomllib
from contextlib import closing
from pathlib import Path

from codagent.models.open import profile_for
from codagent.repository.messages.first_message import MessageFacts, write_first_message
from codagent.repository.messages.shown import add_shown
from codagent.sandbox.local import LocalSandbox
from codagent.text import utf8_size
from codagent.types import Task

PROFILE = profile_for("embedded:qwen2.5-coder-0.5b")


def main() -> None:
    root = Path(sys.argv[1])
    rows = [json.loads(line) for line in (root / "tasks.jsonl").read_text().splitlines()]
    shown, named, sizes = zip(*[write_message(root, row) for row in rows], strict=True)
    print(f"{sum(shown)} of {len(shown)} first messages show the function that has the bug, {sum(named)} name it")
    print(f"bytes: {sum(sizes) / len(sizes):,.0f} on average, {sorted(sizes)[len(sizes) // 2]:,} in the middle, {max(sizes):,} at most")


def write_message(root: Path, row: dict[str, str]) -> tuple[bool, bool, int]:
    """Return whether the message shows and names the function, and the bytes of the message."""
    task = tomllib.loads((root / row["part"] / f"{row['id']}.toml").read_text())["task"][0]
    with closing(LocalSandbox()) as sandbox:
        repository = root / "repositories" / row["repository"]
        sandbox.run(f"git clone -q {repository} . && git checkout -q {row['start']}", timeout=60)
        check = row["check"].replace("python", sys.executable, 1)
        paths = sandbox.run("git ls-files", timeout=60).output.split()
        facts = MessageFacts(Task(row["id"], task["instruction"], (check,)), paths)
        facts = add_shown(facts, sandbox, PROFILE, seconds_left=lambda: 300.0)
    name = row["function"].split(".")[-1]
    shown = any(file.path == row["path"] and f"def {name}(" in file.text for file in facts.files)
    named, size = row["function"] in facts.likely, utf8_size(write_first_message(facts, PROFILE, None))
    words = f"{'shown' if shown else 'not shown'}, {'named' if named else 'not named'}, {size:,} bytes"
    print(f"{row['id']}  {row['path']} {row['function']}: {words}", flush=True)
    return shown, named, size


if __name__ == "__main__":
    main()
