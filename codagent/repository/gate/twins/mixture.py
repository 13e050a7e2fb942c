"""The two mixtures of tests and twins, as trees of the repository."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random

from codagent.repository import git
from codagent.repository.gate.inside.sources import find_half
from codagent.repository.gate.twins.expressions import Known
from codagent.repository.gate.twins.writer import Ending, TwinSource, Written, end_script, write_ending, write_script, write_twins

HALVES = (0, 1)
_SECRET = secrets.token_hex(16)  # what twins are drawn from; no sandbox is told
_SALT = secrets.token_hex(16)  # decides which half of the tests are twins

_Write = Callable[[str], str | None]  # writes something else in the place of a source; None: nothing


@dataclass(frozen=True, slots=True)
class TwinMixture:
    """What a run of the tests is told: which of them are twins. Without anything, none is."""

    sources: Mapping[str, TwinSource] = field(default_factory=dict)  # the sources that stand in the place of test files, by path
    half: int | None = None  # the half of the doctests that are twins
    salt: str = ""  # decides in which half a doctest is, and what its twin expects

    def orders(self) -> dict[str, object]:
        """Return the orders for the process of the tests, as JSON."""
        sources = {path: (source.text, source.lines) for path, source in self.sources.items()}
        return {"sources": sources, "half": self.half, "salt": self.salt}


NO_TWINS = TwinMixture()


@dataclass(frozen=True, slots=True)
class Mixtures:
    """Both mixtures of tests and twins, which hold for every tree with the same protected files."""

    mixed: tuple[TwinMixture, TwinMixture] = (NO_TWINS, NO_TWINS)
    halves: Mapping[str, int] = field(default_factory=dict)  # of each test with a twin: in which mixture it is one
    names: Mapping[str, int | None] = field(default_factory=dict)  # by the bare name, for inherited tests; None: some have no twin

    def half_of_doctest(self, test: str) -> int | None:
        """Return in which mixture a doctest is a twin. `test` is pytest's id."""
        return None if self.mixed[0].half is None else find_half(self.mixed[0].salt, test)

    def half_of(self, test: str) -> int | None:
        """Return in which mixture a test is a twin. Returns None when it has none. `test` is pytest's id."""
        place = test.partition("[")[0]
        if place in self.halves:
            return self.halves[place]
        *classes, name = place.split("::")[1:] or [place]
        return self.names.get(name) if classes else None


def end_tests(root: Path, start_commit: str, ending: Ending, scripts: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the test files of a commit, by path, with tests that just fail, or just pass, and `scripts` whose assertions do."""
    return _rewrite(root, start_commit, lambda text: write_ending(text, ending), scripts, lambda text: end_script(text, ending))


def end_command(check: str, ending: Ending) -> str:
    """Return `python -c TEXT` with a text whose assertions just fail, or are gone. Any other check is returned as it is."""
    return _rewrite_command(check, lambda text: end_script(text, ending))


def invert_tests(root: Path, start_commit: str, scripts: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the test files and `scripts` of a commit, by path, with inverse twins, which pass when the code is honest."""
    modules = git.list_modules(git.list_files(root, start_commit))

    def invert(text: str) -> str | None:
        made = write_twins(text, lambda _: True, _draw_known(text), modules, inverse=True)
        return made.source.text if made and made.twins else None

    return _rewrite(root, start_commit, invert, scripts, lambda text: write_script(text, _draw_known(text), modules))


def invert_command(root: Path, start_commit: str, check: str) -> str:
    """Return `python -c TEXT` with the inverse twin of the text. Any other check is returned as it is."""
    modules = git.list_modules(git.list_files(root, start_commit))
    return _rewrite_command(check, lambda text: write_script(text, _draw_known(text), modules))


def _rewrite(root: Path, start_commit: str, write_test: _Write, scripts: Iterable[str], write_script: _Write) -> dict[str, bytes]:
    """Return what is written for each test file and each script of a commit, by path, without those for which nothing is."""
    tests = _list_tests(root, start_commit)
    written = {path: write_test(_read_source(root, start_commit, path)) for path in tests}
    others = {path for path in scripts if path.endswith(".py")}.difference(tests)
    written |= {path: write_script(_read_source(root, start_commit, path)) for path in others}
    return {path: text.encode() for path, text in written.items() if text is not None}


def _rewrite_command(check: str, write: _Write) -> str:
    try:
        *words, option, text = shlex.split(check)
    except ValueError:  # an open quotation, or too few words
        return check
    if option != "-c" or not re.fullmatch(r"([\w./=:+-]+ )*(\S*/)?python[\d.]*", " ".join(words)):
        return check
    written = write(text)
    return check if written is None else shlex.join([*words, option, written])


def mix_tests(root: Path, start_commit: str) -> Mixtures:
    """Write the twins of the test files of a commit. In this process, a source always has the same ones: many tasks share their tests."""
    modules = git.list_modules(git.list_files(root, start_commit))
    sources: tuple[dict[str, TwinSource], ...] = ({}, {})
    halves: dict[str, int] = {}
    names: dict[str, int | None] = {}
    for path in _list_tests(root, start_commit):
        written = _write_halves(_read_source(root, start_commit, path), modules)
        has_twins = any(made.twins for made in written)
        for half, made in enumerate(written):
            if has_twins:
                sources[half][path] = made.source
            for name in made.without:
                names[name.rpartition("::")[2]] = None
                halves.pop(f"{path}::{name}", None)
            for name in made.twins:
                halves[f"{path}::{name}"] = half
                names.setdefault(name.rpartition("::")[2], half)
    mixed = TwinMixture(sources[0], 0, _SALT), TwinMixture(sources[1], 1, _SALT)
    return Mixtures(mixed, halves, names)


@lru_cache(maxsize=512)
def _write_halves(source: str, modules: frozenset[str]) -> tuple[Written, ...]:
    """Return a test file twice, with the twins of each half. Returns () when the source cannot be read."""
    known = _draw_known(source)
    written = [write_twins(source, lambda name, half=half: find_half(_SALT, name) == half, known, modules) for half in HALVES]  # type: ignore[misc]
    return tuple(made for made in written if made is not None) if all(written) else ()


def _draw_known(source: str) -> Known:
    """Draw what the twins of a source expect. It follows from the source and from what this process alone knows."""
    draw = Random(f"{_SECRET} {source}")  # noqa: S311 - its seed is a secret
    name, text = (f"{draw.getrandbits(bits):0{bits // 4}x}" for bits in (24, 16))
    return Known(f"_{name}_", draw.choice([-3, -2, -1, 1, 2, 3]), 1000 + draw.randrange(90_000), f"z{text}q")


def _list_tests(root: Path, commit: str) -> list[str]:
    return [path for path in git.list_files(root, commit) if path.endswith(".py") and git.TESTS.search(path)]


def _read_source(root: Path, commit: str, path: str) -> str:
    data = git.read_file(root, commit, path)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\0"  # no source: another encoding
