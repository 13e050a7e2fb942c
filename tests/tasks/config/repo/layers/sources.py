"""Where layers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .merging import Table


def from_file(path: str | Path) -> Table:
    """The table in a JSON file; a file that is not there is an empty table."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(table, dict):
        raise ValueError(f"{path} holds no table")
    return table


def from_environ(environ: Mapping[str, str], prefix: str) -> Table:
    """APP_SERVER__PORT=80 as {'server': {'port': 80}} for the prefix 'APP_'."""
    table: Table = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(prefix):
            continue
        *parents, last = name[len(prefix) :].lower().split("__")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = parse_value(text)
    return table


def parse_value(text: str) -> Any:
    """A JSON value where the text is one, else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
