"""Versions as text and in parts."""

from __future__ import annotations

import re
from dataclasses import dataclass

VERSION = re.compile(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")


class VersionError(ValueError):
    """A text that is no version or no range."""


@dataclass(frozen=True)
class Version:
    """`pre` holds the parts of a pre-release as they are written, such as ('rc', '1'); a release has none."""

    numbers: tuple[int, int, int]
    pre: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version:
        found = VERSION.fullmatch(text)
        if not found:
            raise VersionError(f"{text!r} is no version")
        major, minor, patch, pre = found.groups()
        return cls((int(major), int(minor), int(patch or 0)), tuple(pre.split(".")) if pre else ())
