"""Inputs that are damaged at random, given to the command itself: the kinds are in `fuzz_inputs.py`.

A command may refuse an input with a sentence, or do its work. It may never end with exit code 1, which is a bug's, nor print a traceback,
nor end with 0 although the input does not allow that, nor write a record that cannot be read. Each command runs in a fork of this process,
in the local sandbox.

.venv/bin/python tests/benchmarks/fuzz.py [--inputs 2000] [--seed 0] [--kind records]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fuzz_inputs import KINDS, Case

from codagent.cli import main as codagent
from codagent.errors import RecordError
from codagent.store.record import load

SECONDS = 60


def run(root: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code of the command, and what it printed. -9: it took longer than it may."""
    with tempfile.TemporaryFile() as output:
        child = multiprocessing.get_context("fork").Process(target=_be_codagent, args=(root, arguments, output.fileno()))
        child.start()
        child.join(SECONDS)
        if child.is_alive():
            child.kill()
            child.join()
        output.seek(0)
        return child.exitcode or 0, output.read().decode(errors="replace")


def find_fault(case: Case, code: int, output: str) -> str:
    """Say what is wrong with how a command ended; "": nothing."""
    if code == 1 or code < 0 or "Traceback (most recent call last)" in output:
        return "it did not end as a command ends"
    if code == 0 and (wrong := case.refute_success()):
        return wrong
    if case.writes_record:
        for file in case.root.glob(".codagent/loops/*/record.jsonl"):
            try:
                load(file)
            except RecordError as error:
                return f"it wrote a record that cannot be read: {error}"
    return ""


def _be_codagent(root: Path, arguments: Sequence[str], output: int) -> None:
    os.setsid()
    os.chdir(root)
    for number in (1, 2):
        os.dup2(output, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in ("stdout", "stderr"):
        setattr(sys, stream, os.fdopen(1 if stream == "stdout" else 2, "w", encoding="utf-8", closefd=False))
    sys.argv = ["codagent", *arguments]
    code = 1
    try:
        codagent()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- it is printed, and counted as a bug
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    given = parser.parse_args()
    kinds, bad, tried = given.kind or list(KINDS), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "XDG_CONFIG_HOME": f"{folder}/config", "XDG_CACHE_HOME": f"{folder}/cache"}
        for at, name in enumerate(kinds):
            place = Path(folder, name)
            place.mkdir()
            cases, codes = KINDS[name](place, random.Random(f"{given.seed} {name}"), run), Counter[int]()
            for number in range(given.inputs * at // len(kinds), given.inputs * (at + 1) // len(kinds)):
                case = next(cases)
                code, output = run(case.root, case.arguments)
                codes[code] += 1
                tried += 1
                if fault := find_fault(case, code, output):
                    bad += 1
                    print(f"{name} {number}: {' '.join(case.arguments)}: exit {code}, {fault}\n{output[-1500:]}", flush=True)
            print(f"{name}: {dict(sorted(codes.items()))}", flush=True)
    print(f"{bad} of {tried} inputs ended badly")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
