"""The rules of the environments, each a file that a person can read and edit."""

from functools import cache
from importlib import resources


@cache
def rules(name: str) -> str:
    """The text of `NAME.md`."""
    return resources.files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
