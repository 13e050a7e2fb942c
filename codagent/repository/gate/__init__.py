"""Checks that the host runs where the agent cannot reach them: another sandbox, a pristine image, and the deciding files restored.

A pytest command is run so that the result of every test is known. Any other command is judged by its exit code, which is easy to fool.
Exit codes come from the engine: no line that a program writes can forge one.

tests/docker/test_gate_cheats.py and test_gate_exit_codes.py attack what is claimed here. Not claimed: the tested code runs in the process
of its tests, or as the user of the shell that waits for it, so a program written against this gate can still lie, for example by searching
its memory. Checks of one grading share a sandbox, in order, so a check may see what the one before it left. The agent writes the doctests,
and the files that only a check's command names; protect those. A dependency that the agent adds to pyproject.toml is not installed when
the checks run.
"""

from codagent.repository.gate.gates import FileRules, Gates
from codagent.repository.gate.runs import CHECK_SECONDS, run_check, try_checks

__all__ = ["CHECK_SECONDS", "FileRules", "Gates", "run_check", "try_checks"]
