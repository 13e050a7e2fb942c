"""Commands in Docker that are killed at random moments end as if they had not been; the long form is tests/benchmarks/chaos."""

import random

import pytest

from tests.benchmarks.chaos.kinds import KINDS
from tests.benchmarks.chaos.run import disturbed, undisturbed

pytestmark = pytest.mark.docker

TRIALS = {"run": 2, "loop": 4, "group": 1, "session": 2}


@pytest.mark.parametrize("name", TRIALS)
def test_a_killed_command_ends_as_if_nothing_had_happened(python_sandbox, tmp_path, name):
    whole = undisturbed(KINDS[name], tmp_path / "undisturbed")
    rng = random.Random(0)
    for trial in range(TRIALS[name]):
        assert any(disturbed(KINDS[name], tmp_path / f"{trial}-{number}", rng, *whole).kills for number in range(5))  # one may end first
