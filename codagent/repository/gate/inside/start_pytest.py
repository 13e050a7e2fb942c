"""Runs pytest with the arguments of the check, and tells the judge what happens."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from .plugin import Gate


def main() -> int:
    """Run pytest and return its exit code.

    The gate's own files are deleted before a module of the workspace may be imported.
    """
    folder = Path(__file__).parents[1]
    sys.path[:] = [path for path in sys.path if path != str(folder)]
    with socket.socket(socket.AF_UNIX) as judge:
        judge.connect(str(folder / "socket"))
        orders = json.loads(judge.makefile().readline())
        for path in folder.iterdir():
            if path.name != "journal":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if str(pytest.__file__).startswith(orders["workspace"] + os.sep):
            sys.exit("pytest was found in the workspace, where anyone may have put it")
        return _run_pytest(orders, judge)


def _run_pytest(orders: dict[str, Any], judge: socket.socket) -> int:
    gate = Gate(judge, orders)
    parallel = importlib.util.find_spec("xdist") and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    arguments = [*sys.argv[1:], "--assert=rewrite", *(["-n0"] if parallel else [])]
    if orders["module"]:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    code = int(pytest.main(arguments, plugins=[gate]))
    gate.finish(code)
    return code
