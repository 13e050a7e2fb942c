"""These tests need the train extra; without it they fail, and are never skipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from codagent_train import checkpoint, quiet, recipe
from codagent_train.recipe import Batch, Recipe


@pytest.fixture(scope="session", autouse=True)
def hushed() -> None:
    quiet.hush()


@pytest.fixture
def small() -> Recipe:
    """The toy with fewer packs and steps."""
    toy = recipe.read("toy")
    return replace(toy, batch=Batch(packs=4, loops=4), learning=replace(toy.learning, steps=4, save_every=2))


@pytest.fixture
def out(tmp_path: Path, small: Recipe) -> Path:
    """A folder in which a run of `small` began."""
    checkpoint.begin(tmp_path / "out", small)
    return tmp_path / "out"
