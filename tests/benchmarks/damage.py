"""Ways to damage an input at random."""

from __future__ import annotations

import json
import random
import re
from typing import Any

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
