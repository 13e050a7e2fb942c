"""A plugin of pytest for commands that start pytest somewhere inside: `make test`, `tox`, `nox`, a script.

PYTEST_ADDOPTS names it, and PYTHONPATH finds it.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from .plugin import Gate

OPTIONS = "-p inside.injected --assert=rewrite"


class ObservedSession(Gate):
    """The plugin of one session of pytest, which tells the judge how the session ends."""

    _code = 0

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: Any) -> None:
        self._code = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.finish(self._code)


def _connect() -> ObservedSession | None:
    """Return the plugin. Returns None when the judge has no orders for this process, or is no more."""
    folder = Path(__file__).parents[1]
    for name, added in (("PYTEST_ADDOPTS", OPTIONS), ("PYTHONPATH", str(folder))):  # not for what the tests start
        os.environ[name] = os.environ.get(name, "").replace(added, "").strip(" :")
    judge = socket.socket(socket.AF_UNIX)
    try:
        judge.connect(str(folder / "socket"))
        orders = json.loads(judge.makefile().readline())
    except (OSError, ValueError):
        return None
    return ObservedSession(judge, orders)


_session = _connect()
if _session:
    globals().update({name: getattr(_session, name) for name in dir(_session) if name.startswith("pytest_")})
