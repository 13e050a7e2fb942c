"""Looks at the files of a checkout."""

from __future__ import annotations


def listing(root):
    found = {}
    for path in sorted(root.rglob("*")):
        if ".git" not in path.relative_to(root).parts and not (path.is_dir() and not path.is_symlink()):
            found[str(path.relative_to(root))] = f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes().decode()
    return found
