"""Checks that the host runs where the agent cannot reach them: another sandbox, a pristine image, and the deciding files restored.

A pytest command is run so that the result of every test is known, and a test is believed when its twin fails. So is pytest that another
command starts. Any other command is judged by its exit code, which must follow the tests as it did at the start. Exit codes come from the
engine: no line that a program writes can forge one.

The judge (`inside/judge.py`) is a process that the repository has no part in. The tests of a session share one process, and so do those of
each twin run: a process for each test, or file, would set up the fixtures of a session again for each, break tests that build on each
other, and make many reports out of one. What such processes would prevent, code that changes the runner for tests after it, is the same for
a test and its twin, and so gives itself away. `suspicion` reads the change, and `inside/introspection.py` and `inside/reading.py`
watch it while it is tested, for the means by which a program can tell a test from its twin or take its answer from a test.

tests/docker/test_gate_cheats.py, test_gate_exit_codes.py and tests/repository/gate/twins/test_cheats.py attack what is claimed here. Not
claimed: the tested code runs in the process of its tests, so a program that finds out, unseen, whether a test is a twin can still lie.
Checks of one grading share a sandbox, in order, so a check may see what the one before it left;
only pytest after nothing but pytest gets a fresh one. A dependency that the agent adds to pyproject.toml is not installed when the checks
run.
"""

from codagent.repository.gate.gates import Gates
from codagent.repository.gate.runs import CHECK_SECONDS, run_check, try_checks
from codagent.repository.gate.suspicion import FileRules

__all__ = ["CHECK_SECONDS", "FileRules", "Gates", "run_check", "try_checks"]
