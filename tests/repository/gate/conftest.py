"""A small repository with a bug, and the commits that an agent might leave in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from codagent.repository import git

Files = Mapping[str, str | None]

START = {
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n\n[tool.pytest.ini_options]\naddopts = "-ra"\n',
    "shop/__init__.py": "",
    "shop/price.py": """
CASES = [([1, 2], 3), ([], 0)]

def total(prices):
    return 0

def label(price):
    return f"{price} EUR"
""",
    "tests/helpers.py": "def near(a, b):\n    return abs(a - b) < 1\n",
    "tests/test_price.py": """
import unittest

import pytest
from helpers import near
from shop.price import CASES, label, total

def test_label():
    assert label(1) == "1 EUR"

def test_total():
    assert total([1, 2]) == 3

def test_near():
    assert near(total([5, 6]), 11)

@pytest.mark.parametrize("prices, expected", CASES)
def test_case(prices, expected):
    assert total(prices) == expected

class TestTotal(unittest.TestCase):
    def test_one(self):
        self.assertEqual(total([4]), 4)
""",
}
SOLVED = START["shop/price.py"].replace("return 0", "return sum(prices)")


class Shop:
    """The repository; `commit` gives the id of a child of the start in which files were written (`-> x`: as a link) or deleted."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root, self._index = root, {**os.environ, "GIT_INDEX_FILE": str(root.parent / "index")}
        self._git("init", "-q")
        self.start = ""
        self.start = self.commit(START)

    def commit(self, files: Files) -> str:
        if self.start:
            self._git("read-tree", self.start)
        lines = [f"0 {'0' * 40}\t{path}\0" for path, content in files.items() if content is None]
        for path, content in files.items():
            if content is not None:
                mode, text = ("120000", content[3:]) if content.startswith("-> ") else ("100644", content)
                lines.append(f"{mode} {self._git('hash-object', '-w', '--stdin', text=text)}\t{path}\0")
        self._git("update-index", "-z", "--replace", "--index-info", text="".join(lines))
        return git.commit(self.root, self._git("write-tree"), self.start or None, "work", trailers={})

    def _git(self, *args: str, text: str = "") -> str:
        done = subprocess.run(["git", *args], cwd=self.root, env=self._index, input=text, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop") / "repository")


@pytest.fixture
def gated(shop: Shop) -> Callable[..., tuple[dict[str, str], tuple[str, ...]]]:
    """What the gate sees of an agent's files: the text of each that differs from the start, and the paths that were put back."""

    def see(files: Files, protect: tuple[str, ...] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
        tree, undone = git.protected_tree(shop.root, shop.start, shop.commit(files), protect)
        seen = {path: git.read_file(shop.root, tree, path).decode() for path in git.list_files(shop.root, tree)}
        gone = dict.fromkeys(START.keys() - seen.keys(), "gone")
        return {path: text for path, text in seen.items() if START.get(path) != text} | gone, undone

    return see
