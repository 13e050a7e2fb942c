"""Checks run by the host where the agent cannot reach them: another sandbox, a pristine image, the commit with what decides put back.

A pytest command is run so that every test is accounted for; another command is judged by its exit code alone, which is easily fooled.

What is claimed is what tests/docker/test_gate_cheats.py attacks. What is not: the code under test runs in the process that tests it, so a
program written against this very gate can still lie, as by looking for it in memory. Checks of one grading share a sandbox, in order, so
one may see what the one before it left. Doctests stand in what the agent writes, and so do files that only a check's own command names;
protect those. A dependency that the agent adds to pyproject.toml is not there when the checks run.
"""

from codagent.repository.gate.gates import CHECK_SECONDS, Gates, run_check

__all__ = ["CHECK_SECONDS", "Gates", "run_check"]
