"""The embedded model without --check: how many of the twelve sample repositories it mends, and how many of six questions it answers.

.venv/bin/python tests/benchmarks/unchecked.py [--model embedded] [--only NAME …] [--out FOLDER]

The checks of a sample are unknown to the run; they are run on its result afterwards. A question is answered rightly when the answer has the
words, and nothing was changed. Records stay in FOLDER, to be read with `codagent show`; what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples import check_out, names, sample

CODAGENT = Path(sys.executable).parent / "codagent"


@dataclass(frozen=True)
class Question:
    repository: str
    text: str
    words: str  # a regular expression for each of the words that a right answer has, separated by spaces


QUESTIONS = (
    Question("median", "In which file is the function median?", r"summary\.py"),
    Question("cache", "What is the name of the class of the cache?", "LRUCache"),
    Question("order", "Which exception is raised when steps need each other in a circle?", "CycleError"),
    Question("query", "Which functions does askant/coding.py define?", "encode decode"),
    Question("globs", "Which function makes a regular expression of a rule?", "translate"),
    Question("undo", "Which class keeps what can be undone, and in which file is it?", r"History history\.py"),
)


def run(root: Path, task: str, model: str) -> dict[str, Any]:
    """Run codagent in the repository and return its result. One that is kept beside the repository is returned again."""
    kept = root.with_suffix(".json")
    if not kept.exists():
        command = [CODAGENT, "run", "--json", "--model", model, "--seed", "1", "--repo", root, "--", task]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        kept.write_text(ended.stdout)
    result: dict[str, Any] = json.loads(kept.read_text())
    return result


def mends(name: str, folder: Path, model: str) -> bool:
    """Whether the checks of a sample pass on what a run made of it."""
    root = folder / name
    if not root.exists():
        check_out(name, root)
    result = run(root, sample(name).instruction, model)
    if result["commit"]:
        subprocess.run(["git", "checkout", "-q", "--detach", result["commit"]], cwd=root, check=True)
    checks = [part for check in sample(name).checks for part in ("--check", check)]
    judge = [CODAGENT, "loop", "nothing", *checks, "--model", "scripted:/dev/null", "--repo", root]
    judged = subprocess.run(judge, check=False, capture_output=True)
    word = "right" if judged.returncode == 0 else "WRONG"
    print(f"{name}: {result['outcome']}, {result['tokens']} tokens, {result['seconds'] or 0:.0f} s: {word}", flush=True)
    return judged.returncode == 0


def answers(number: int, question: Question, folder: Path, model: str) -> bool:
    """Whether a run answers a question rightly and changes nothing."""
    root = folder / f"question-{number}"
    if not root.exists():
        check_out(question.repository, root)
    result = run(root, question.text, model)
    answer = result["answer"] or ""
    right = all(re.search(word, answer) for word in question.words.split()) and not result["commit"]
    changed = ", and files were changed" if result["commit"] else ""
    print(f"{question.text} -> {answer[:200]!r}{changed}: {'right' if right else 'WRONG'}", flush=True)
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--only", nargs="*", default=names())
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="codagent-unchecked-"))
    folder.mkdir(parents=True, exist_ok=True)
    right = [answers(number, question, folder, given.model) for number, question in enumerate(QUESTIONS)]
    mended = [mends(name, folder, given.model) for name in given.only]
    print(f"{sum(right)} of {len(right)} questions answered rightly, {sum(mended)} of {len(mended)} samples mended; records: {folder}")


if __name__ == "__main__":
    main()
