"""Commands in Docker that are killed at random moments end as if they had not been; the long form is tests/benchmarks/chaos."""

import random

import pytest

from tests.benchmarks.chaos.kinds import KINDS
from tests.benchmarks.chaos.run import disturb, undisturbed

pytestmark = pytest.mark.docker

TRIALS = {"run": 2, "loop": 4, "group": 1, "session": 2}


@pytest.mark.parametrize("name", TRIALS)
def test_a_killed_command_ends_as_if_nothing_had_happened(python_sandbox, tmp_path, name):
    kind, rng = KINDS[name], random.Random(0)
    whole = undisturbed(kind, tmp_path / "undisturbed")
    struck = 0
    for number in range(5 * TRIALS[name]):  # one may end before it is struck
        trial = kind.begin(tmp_path / str(number))
        disturb(kind, trial, rng, *whole)
        struck += bool(trial.kills)
        if struck == TRIALS[name]:
            return
    raise AssertionError(f"only {struck} were struck")
