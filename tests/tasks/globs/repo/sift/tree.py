"""The files below a folder."""

from __future__ import annotations

from pathlib import Path

from .rules import Rules


def list_files(top: str | Path, rules: Rules) -> list[str]:
    """Paths of the files below `top` that `rules` keep, relative to it, with '/', sorted."""
    top = Path(top)
    paths = (path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())
    return sorted(rules.choose(paths))
