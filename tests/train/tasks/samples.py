"""A small repository whose tests pass."""

import sys
from pathlib import Path

CHECK = f"{sys.executable} -m pytest -q"
PRICES = """\
def total(prices, discount=0):
    if not prices:
        return 0
    return sum(prices) - discount


def cheapest(prices, count):
    return sorted(prices)[:count]
"""
STOCK = """\
def missing(wanted, there):
    return [name for name in wanted if there.get(name, 0) < wanted[name]]
"""
TEST = """\
from prices import cheapest, total
from stock import missing


def test_total():
    assert total([1, 2], 1) == 2


def test_cheapest():
    assert cheapest([3, 1, 2], 2) == [1, 2]


def test_missing():
    assert missing({"a": 1, "b": 2}, {"a": 1}) == ["b"]
"""


def write_repository(folder: Path, test: str = TEST) -> Path:
    folder.mkdir()
    for name, text in (("prices.py", PRICES), ("stock.py", STOCK), ("test_shop.py", test)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder
