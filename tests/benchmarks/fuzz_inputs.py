"""Kinds of damaged inputs for `fuzz.py`: records, ledgers, task files, settings, streams of model servers, tool calls and git trees."""

from __future__ import annotations

import json
import random
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from damage import damage_bytes, damage_lines, damage_value
from fuzz_server import Answer, damage_answer, make_answer, serve

from codagent.errors import RecordError
from codagent.store.record import load

LOCAL = ("--sandbox", "local", "--json")
CHECK = ("--check", "test -e done")
IDENTITY = ("-c", "user.name=f", "-c", "user.email=f@f")
NAMES = [
    b"a", b"\xff\xfe", b"a\nb", b'"', b" ", b"-rf", b"x" * 250, b":(top)", b"*.py", b"A", b"\xc3\xa9", b"e\xcc\x81", b"CON", b".gitmodules",
    b".gitattributes", b".gitignore", b"codagent.toml", b"AGENTS.md", b"\\", b"\x7f", b"done",
]  # fmt: skip
FORBIDDEN_NAMES = [b".git", b"..", b".", b"", b".GIT", b"git~1", b".codagent", b"a/b"]
Run = Callable[[Path, Sequence[str]], tuple[int, str]]


@dataclass(frozen=True)
class Case:
    root: Path
    arguments: Sequence[str]
    refute_success: Callable[[], str] = str  # why exit code 0 would be wrong; "": it may be right
    writes_record: bool = False


def git(root: Path, *args: str, stdin: bytes = b"") -> str:
    return subprocess.run(["git", *args], cwd=root, input=stdin, capture_output=True, check=True).stdout.decode(errors="replace").strip()


def repository(folder: Path, object_format: str = "sha1") -> Path:
    root = folder / "repository"
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main", f"--object-format={object_format}")
    (root / "a.txt").write_text("a\n")
    git(root, "add", "-A")
    git(root, *IDENTITY, "commit", "-qm", "first")
    return root


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"name": name, "arguments": arguments}]}


SCRIPT = [call("bash", command="touch done; echo b > a.txt"), call("finish", summary="did it"), "<notes>n</notes>"]


def script(folder: Path, replies: Sequence[Any] = SCRIPT) -> str:
    (folder / "script.json").write_text(json.dumps(replies))
    return f"scripted:{folder / 'script.json'}"


def recorded(folder: Path, run: Run) -> Path:
    """A repository with the record of one loop."""
    root = repository(folder)
    code, output = run(root, ("loop", "do it", *CHECK, "--model", script(folder), *LOCAL))
    assert code == 0, output
    return root


def lacks_work(root: Path) -> str:
    """Say when neither HEAD nor the latest branch of codagent has the file that the check asks for."""
    names = git(root, "for-each-ref", "--sort=creatordate", "--format=%(refname)", "refs/heads/codagent/").split()
    trees = [git(root, "ls-tree", "--name-only", name) for name in ("HEAD", *names[-1:])]
    return "" if any("done" in tree.split() for tree in trees) else "exit 0 without the work that the check asks for"


def no_toml(data: bytes) -> str:
    try:
        tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return "exit 0 with a file that is no TOML"
    return ""


def records(folder: Path, rng: random.Random, run: Run) -> Iterator[Case]:
    root = recorded(folder, run)
    file = next(root.glob(".codagent/loops/*/record.jsonl"))
    whole, origin = file.read_bytes(), load(file)
    commands = (
        ("show",), ("show", "--full"), ("list",), ("list", "--json"), ("report",), ("replay",), ("diff",), ("notes", "show"),
        ("loop", "--resume", file.parent.name, *LOCAL), ("branch", "--at", "1", "--dry-run", *LOCAL), ("apply",),
    )  # fmt: skip

    def misread() -> str:
        try:
            loop = load(file)
        except RecordError:
            return ""
        count = max(0, len(loop.episodes) - 1)
        return "" if loop.episodes[:count] == origin.episodes[:count] else "a damaged record was read as something else"

    while True:
        sealed = rng.random() < 0.5
        file.write_bytes(damage_bytes(whole, rng) if sealed else damage_lines(whole.decode(), rng).encode(errors="surrogatepass"))
        yield Case(root, rng.choice(commands), misread if sealed else str)


def ledgers(folder: Path, rng: random.Random, run: Run) -> Iterator[Case]:
    root = recorded(folder, run)
    file = next(root.glob(".codagent/loops/*/ledger.jsonl"))
    record = file.with_name("record.jsonl")
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:3]))
    whole, begun = file.read_bytes(), record.read_bytes()
    while True:
        record.write_bytes(begun)
        file.write_bytes(damage_bytes(whole, rng) if rng.random() < 0.5 else damage_lines(whole.decode(), rng).encode(errors="replace"))
        yield Case(root, ("loop", "--resume", file.parent.name, *LOCAL), partial(lacks_work, root), writes_record=True)


def task_files(folder: Path, rng: random.Random, _: Run) -> Iterator[Case]:
    root = repository(folder)
    one = b'[[task]]\nid = "one"\ninstruction = "do it"\nchecks = ["true"]\n\n'
    whole, file = one + one.replace(b"one", b"two"), folder / "tasks.toml"
    while True:
        file.write_bytes(data := damage_bytes(whole, rng))
        yield Case(root, ("loop", str(file), "--dry-run", "--model", f"scripted:{folder / 'none.json'}", *LOCAL), partial(no_toml, data))


def settings(folder: Path, rng: random.Random, _: Run) -> Iterator[Case]:
    root = repository(folder)
    model = script(folder)
    whole = (
        b'checks = ["test -e done"]\nprotect = ["tests/**"]\niterations = 2\npatience = 1\nmax_steps = 5\n'
        b'max_tokens = 1000\nmax_seconds = 20.5\nmax_usd = 1.5\n\n[sandbox]\nname = "base"\n'
    )
    while True:
        (root / "codagent.toml").write_bytes(data := damage_bytes(whole, rng))
        yield Case(root, ("loop", "do it", "--dry-run", "--model", model, *LOCAL), partial(no_toml, data))


def streams(folder: Path, rng: random.Random, _: Run) -> Iterator[Case]:
    answers: list[Answer] = []
    address = serve(answers)
    limits = ("--max-steps", "6", "--max-seconds", "20", "--wait", "2")
    work, finish = make_answer("bash", {"command": "touch done"}), make_answer("finish", {"summary": "did it"})
    number = 0
    while True:
        number += 1
        root = repository(folder / str(number))
        answers[:] = [damage_answer(rng), work, work, finish]
        yield Case(root, ("run", "do it", "--model", address, *CHECK, *limits, *LOCAL), partial(lacks_work, root), writes_record=True)


def tool_calls(folder: Path, rng: random.Random, _: Run) -> Iterator[Case]:
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
        model = script(folder, [*damaged, call("finish", summary="end"), "<notes>n</notes>"])
        yield Case(root, ("run", "do it", "--model", model, "--max-steps", "6", *LOCAL), writes_record=True)


def git_trees(folder: Path, rng: random.Random, _: Run) -> Iterator[Case]:
    model, number = script(folder), 0
    while True:
        number += 1
        root = repository(folder / str(number), rng.choice(("sha1", "sha1", "sha256")))
        tree = odd_tree(root, rng, depth=2)
        commit = git(root, *IDENTITY, "commit-tree", tree, "-m", "odd")
        git(root, "update-ref", "refs/heads/main", commit)
        if rng.random() < 0.7:
            subprocess.run(["git", "reset", "-q", "--hard"], cwd=root, capture_output=True, check=False)
        arguments = ("run", "do it", "--model", model, "--max-steps", "4", *CHECK, *LOCAL)
        yield Case(root, arguments, partial(lacks_work, root), writes_record=True)


def odd_tree(root: Path, rng: random.Random, depth: int) -> str:
    """Write a tree of odd names, modes and contents, with trees below it, and return its id. Some trees are none that git would make."""
    entries: list[tuple[bytes, bytes, str]] = []
    forbidden = rng.random() < 0.1
    for name in rng.sample(NAMES + FORBIDDEN_NAMES * forbidden, rng.randint(0, 5)):
        mode = rng.choice(("100644", "100644", "100755", "120000", "160000", "40000") if depth else ("100644", "120000"))
        if mode == "160000":
            made = "1" * len(git(root, "rev-parse", "HEAD"))
        elif mode == "40000":
            made = odd_tree(root, rng, depth - 1)
        else:
            text = rng.choice((b"x\n", b"", b"\0" * 100, b"../../outside", b"* filter=x\n"))
            made = git(root, "hash-object", "-w", "--stdin", stdin=text)
        entries.append((mode.encode(), name, made))
    if forbidden:
        entries = rng.choices(entries, k=len(entries)) if entries else []
    else:
        entries.sort(key=lambda entry: entry[1] + b"/" * (entry[0] == b"40000"))
    content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(made) for mode, name, made in entries)
    return git(root, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=content)


KINDS: dict[str, Callable[[Path, random.Random, Run], Iterator[Case]]] = {
    made.__name__: made for made in (records, ledgers, task_files, settings, streams, tool_calls, git_trees)
}
