"""A loop in Docker that is killed at random moments ends as if it had not been; the long form is tests/benchmarks/chaos.py."""

import random

import pytest

from tests.benchmarks.chaos import disturbed, undisturbed

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def whole(python_sandbox, tmp_path_factory):
    """What an undisturbed loop ends with, and the seconds that it takes."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed") / "loop")


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_loop_ends_as_if_nothing_had_happened(whole, tmp_path, seed):
    rng = random.Random(seed)
    assert any(disturbed(tmp_path / str(number), rng, *whole).kills for number in range(5))  # one may end before it is killed
