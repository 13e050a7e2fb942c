"""All layers in their order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .merging import Table, merge
from .sources import from_environ, from_file


def load(defaults: Table, *, file: str | Path | None = None, environ: Mapping[str, str] | None = None, prefix: str = "APP_") -> Table:
    """`defaults`, then `file`, then `environ`: the later layer wins."""
    settings = merge({}, defaults)
    if file is not None:
        settings = merge(settings, from_file(file))
    if environ is not None:
        settings = merge(settings, from_environ(environ, prefix))
    return settings
