"""Ways to damage an input at random. As a program: whether single flipped bits and removed lines of a record and a ledger are noticed.

.venv/bin/python tests/benchmarks/damage.py [--flips 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codagent.errors import RecordError
from codagent.store.ledger import read_spent
from codagent.store.record import load

ODD = [
    None, True, -1, 0, 2**70, 1e999, "", "\udcff", "\x1b[2J", "a" * 5000, "../../x", "/etc/passwd", [], {}, [[[[]]]], {"a": None},
    "9" * 5001,
]  # fmt: skip


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, double, insert or swap bytes or lines."""
    made, lines = bytearray(data), data.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(made) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del made[at : at + rng.choice((1, 10, 1000))]
        elif kind == 2:
            made[at:at] = rng.choice((b"\0", b"\xff", b'"', b"}", b"[" * 50_000, b"\n", b"9" * 5001, b"\xed\xa0\x80"))
        elif kind == 3:
            made = made[:at]
        elif len(lines) > 1:
            if kind == 4:
                lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            else:
                lines.pop(rng.randrange(len(lines)))
            made = bytearray(b"".join(lines))
    return bytes(made)


def damage_value(value: Any, rng: random.Random) -> Any:
    """Put odd values in the place of a few values of a JSON value, and leave some out."""
    if rng.random() < 0.08:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: damage_value(item, rng) for key, item in value.items() if rng.random() > 0.03}
    if isinstance(value, list):
        return [damage_value(item, rng) for item in value if rng.random() > 0.03]
    return value


def damage_lines(text: str, rng: random.Random) -> str:
    """Damage the values of one JSON line, as somebody does who edits it: the checksums are gone."""
    lines = re.sub(r',"sum":"[0-9a-f]{8}"}$', "}", text, flags=re.MULTILINE).splitlines()
    at = rng.randrange(len(lines))
    lines[at] = json.dumps(damage_value(json.loads(lines[at]), rng))
    return "".join(f"{line}\n" for line in lines)


def flip_bits(data: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """Yield `data` with a single bit flipped, `count` times."""
    for _ in range(count):
        made = bytearray(data)
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
        yield bytes(made)


def remove_lines(data: bytes) -> Iterator[bytes]:
    """Yield `data` without one of its lines, for each line but the last: a file without that is what a crash leaves."""
    lines = data.splitlines(keepends=True)
    for at in range(len(lines) - 1):
        yield b"".join(lines[:at] + lines[at + 1 :])


def is_noticed(file: Path, data: bytes, read: Callable[[Path], object]) -> bool:
    """Whether damaged data are refused. A last line without its end is dropped as torn, and is noticed, too."""
    file.write_bytes(data)
    try:
        read(file)
    except RecordError:
        return True
    return not data.endswith(b"\n")


def main() -> int:
    from fuzz import run
    from fuzz_inputs import recorded

    parser = argparse.ArgumentParser()
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, missed = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        loop = next(recorded(Path(folder), run).glob(".codagent/loops/*"))
        for name, read in (("record.jsonl", load), ("ledger.jsonl", read_spent)):
            whole = (loop / name).read_bytes()
            for kind, damaged in (("bits flipped", flip_bits(whole, given.flips, rng)), ("lines removed", remove_lines(whole))):
                noticed = [is_noticed(loop / name, data, read) for data in damaged]
                missed += noticed.count(False)
                print(f"{name}: {noticed.count(False)} of {len(noticed)} {kind} were not noticed", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
