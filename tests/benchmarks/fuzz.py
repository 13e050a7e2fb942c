"""Inputs that are damaged at random: records, ledgers, task files, settings, tool calls and git trees, given to the command itself.

A command may refuse an input with a sentence, or do its work. It may never end with exit code 1, which is a bug's, nor print a traceback. A
damaged record with its checksums may never be read as something else. Each command runs in a fork of this process, in the local sandbox.

.venv/bin/python tests/benchmarks/fuzz.py [--inputs 2000] [--seed 0] [--kind records]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from damage import damage_bytes, damage_lines, damage_value

from codagent.cli import main as codagent
from codagent.errors import RecordError
from codagent.store.record import load

LOCAL = ("--sandbox", "local", "--json")
CHECK = ("--check", "test -e done")
SECONDS = 60
NAMES = [
    b"a", b"\xff\xfe", b"a\nb", b'"', b" ", b"-rf", b"x" * 250, b":(top)", b"*.py", b"A", b"\xc3\xa9", b"e\xcc\x81", b"CON", b".gitmodules",
    b".gitattributes", b".gitignore", b"codagent.toml", b"AGENTS.md", b"\\", b"\x7f", b"done",
]  # fmt: skip
Case = tuple[Path, Sequence[str]]


def git(root: Path, *args: str, stdin: bytes = b"") -> str:
    return subprocess.run(["git", *args], cwd=root, input=stdin, capture_output=True, check=True).stdout.decode(errors="replace").strip()


def repository(folder: Path) -> Path:
    root = folder / "repository"
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "a.txt").write_text("a\n")
    git(root, "add", "-A")
    git(root, "-c", "user.name=f", "-c", "user.email=f@f", "commit", "-qm", "first")
    return root


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"name": name, "arguments": arguments}]}


SCRIPT = [call("bash", command="touch done; echo b > a.txt"), call("finish", summary="did it"), "<notes>n</notes>"]


def recorded(folder: Path) -> Path:
    """A repository with the record of one loop."""
    root = repository(folder)
    (folder / "script.json").write_text(json.dumps(SCRIPT))
    code, output = run(root, ("loop", "do it", *CHECK, "--model", f"scripted:{folder / 'script.json'}", *LOCAL))
    assert code == 0, output
    return root


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


def records(folder: Path, rng: random.Random) -> Iterator[Case]:
    root = recorded(folder)
    file = next(root.glob(".codagent/loops/*/record.jsonl"))
    whole, origin = file.read_bytes(), load(file)
    commands = (
        ("show",), ("show", "--full"), ("list",), ("list", "--json"), ("report",), ("replay",), ("diff",), ("notes", "show"),
        ("loop", "--resume", file.parent.name, *LOCAL), ("branch", "--at", "1", "--dry-run", *LOCAL), ("apply",),
    )  # fmt: skip
    while True:
        if rng.random() < 0.5:
            file.write_bytes(damage_bytes(whole, rng))
            try:
                loop = load(file)
            except RecordError:
                pass
            else:
                count = len(loop.episodes)
                assert loop.episodes[: count - 1] == origin.episodes[: max(0, count - 1)], "a damaged record was read as something else"
        else:
            file.write_text(damage_lines(whole.decode(), rng), errors="surrogatepass")
        yield root, rng.choice(commands)


def ledgers(folder: Path, rng: random.Random) -> Iterator[Case]:
    root = recorded(folder)
    file = next(root.glob(".codagent/loops/*/ledger.jsonl"))
    record = file.with_name("record.jsonl")
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:3]))
    whole, begun = file.read_bytes(), record.read_bytes()
    while True:
        record.write_bytes(begun)
        file.write_bytes(damage_bytes(whole, rng) if rng.random() < 0.5 else damage_lines(whole.decode(), rng).encode(errors="replace"))
        yield root, ("loop", "--resume", file.parent.name, *LOCAL)


def task_files(folder: Path, rng: random.Random) -> Iterator[Case]:
    root = repository(folder)
    one = b'[[task]]\nid = "one"\ninstruction = "do it"\nchecks = ["true"]\n\n'
    whole = one + one.replace(b"one", b"two")
    while True:
        (folder / "tasks.toml").write_bytes(damage_bytes(whole, rng))
        yield root, ("loop", str(folder / "tasks.toml"), "--dry-run", "--model", f"scripted:{folder / 'none.json'}", *LOCAL)


def settings(folder: Path, rng: random.Random) -> Iterator[Case]:
    root = repository(folder)
    (folder / "script.json").write_text(json.dumps(SCRIPT))
    whole = (
        b'checks = ["test -e done"]\nprotect = ["tests/**"]\niterations = 2\npatience = 1\nmax_steps = 5\n'
        b'max_tokens = 1000\nmax_seconds = 20.5\nmax_usd = 1.5\neffort = "low"\n\n[sandbox]\nname = "base"\n'
    )
    while True:
        (root / "codagent.toml").write_bytes(damage_bytes(whole, rng))
        yield root, ("loop", "do it", "--dry-run", "--model", f"scripted:{folder / 'script.json'}", *LOCAL)


def tool_calls(folder: Path, rng: random.Random) -> Iterator[Case]:
    root = repository(folder)
    tools: list[dict[str, Any]] = [
        call("bash", command="echo hi"), call("read", path="a.txt", lines="1-2"), call("write", path="b.txt", content="x\n"),
        call("edit", path="a.txt", old="a", new="b"), call("grep", pattern="a"), call("glob", pattern="*"), call("finish", summary="s"),
    ]  # fmt: skip
    while True:
        damaged = []
        for one in rng.choices(tools, k=4):
            (made,) = one["calls"]
            arguments: Any = damage_value(made["arguments"], rng)
            if rng.random() < 0.3:
                arguments = damage_bytes(json.dumps(arguments).encode(), rng).decode(errors="surrogateescape")
            damaged.append({"calls": [{"name": rng.choice((made["name"], made["name"], "no_such", "")), "arguments": arguments}]})
        (folder / "script.json").write_text(json.dumps([*damaged, call("finish", summary="end"), "<notes>n</notes>"]))
        yield root, ("run", "do it", "--model", f"scripted:{folder / 'script.json'}", "--max-steps", "6", *LOCAL)


def odd_tree(root: Path, rng: random.Random, depth: int) -> str:
    """Write a tree of odd names, modes and contents, with trees below it, and return its id."""
    entries = []
    for name in rng.sample(NAMES, rng.randint(0, 5)):
        mode = rng.choice(("100644", "100644", "100755", "120000", "160000", "040000") if depth else ("100644", "120000"))
        kind = {"040000": "tree", "160000": "commit"}.get(mode, "blob")
        if kind == "blob":
            text = rng.choice((b"x\n", b"", b"\0" * 100, b"../../outside", b"* filter=x\n"))
            made = git(root, "hash-object", "-w", "--stdin", stdin=text)
        else:
            made = odd_tree(root, rng, depth - 1) if kind == "tree" else "1" * 40
        entries.append(f"{mode} {kind} {made}\t".encode() + name + b"\0")
    return git(root, "mktree", "-z", "--missing", stdin=b"".join(entries))


def git_trees(folder: Path, rng: random.Random) -> Iterator[Case]:
    (folder / "script.json").write_text(json.dumps(SCRIPT))
    number = 0
    while True:
        number += 1
        root = repository(folder / str(number))
        tree = odd_tree(root, rng, depth=2)
        commit = git(root, "-c", "user.name=f", "-c", "user.email=f@f", "commit-tree", tree, "-m", "odd")
        git(root, "update-ref", "refs/heads/main", commit)
        if rng.random() < 0.7:
            subprocess.run(["git", "reset", "-q", "--hard"], cwd=root, capture_output=True, check=False)
        yield root, ("run", "do it", "--model", f"scripted:{folder / 'script.json'}", "--max-steps", "4", *CHECK, *LOCAL)


KINDS: dict[str, Callable[[Path, random.Random], Iterator[Case]]] = {
    made.__name__: made for made in (records, ledgers, task_files, settings, tool_calls, git_trees)
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    given = parser.parse_args()
    kinds, bad = given.kind or list(KINDS), 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "XDG_CONFIG_HOME": f"{folder}/config"}
        for name in kinds:
            place = Path(folder, name)
            place.mkdir()
            cases, codes = KINDS[name](place, random.Random(f"{given.seed} {name}")), Counter[int]()
            for number in range(given.inputs // len(kinds)):
                root, arguments = next(cases)
                code, output = run(root, arguments)
                codes[code] += 1
                if code == 1 or code < 0 or "Traceback (most recent call last)" in output:
                    bad += 1
                    print(f"{name} {number}: {' '.join(arguments)}: exit {code}\n{output[-1500:]}", flush=True)
            print(f"{name}: {dict(sorted(codes.items()))}", flush=True)
    print(f"{bad} of {given.inputs} inputs ended badly")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
