"""Runs pytest with the arguments of the check, and writes a signed journal of what happened."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .plugin import Gate
from .watch import Watch


def main() -> int:
    """Run pytest and return its exit code.

    The host leaves a plan in this file's folder. Everything there but the journal is deleted before a module of the workspace is imported.
    """
    folder = Path(__file__).parents[1]
    workspace = os.getcwd()  # noqa: PTH109 - compared as text
    sys.path[:] = [path for path in sys.path if path != str(folder)]
    if str(pytest.__file__).startswith(workspace + os.sep):
        sys.exit("pytest was found in the workspace, where anyone may have put it")
    plan = json.loads((folder / "plan.json").read_text())
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    journal = _journal(folder / "journal", bytes.fromhex(plan["key"]))
    watch = Watch(journal, workspace, re.compile(plan["tests"], re.IGNORECASE))
    watch.install()
    parallel = importlib.util.find_spec("xdist") and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    arguments = [*sys.argv[1:], "--assert=rewrite", *(["-n0"] if parallel else [])]
    if plan["module"]:
        sys.path.insert(0, workspace)  # as `python -m` does
    code = int(pytest.main(arguments, plugins=[Gate(journal, watch)]))
    journal("finished", code=code)
    return code


def _journal(path: Path, key: bytes) -> Callable[..., None]:
    """Return a function that writes lines. Each line is signed together with all lines before it.

    So a program without the key cannot forge, change or remove a line.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    last = b""

    def write(kind: str, **facts: Any) -> None:
        nonlocal last
        text = json.dumps({"kind": kind, **facts}).encode()
        last = hmac.new(key, last + text, hashlib.sha256).hexdigest().encode()
        os.write(descriptor, last + b" " + text + b"\n")

    return write
