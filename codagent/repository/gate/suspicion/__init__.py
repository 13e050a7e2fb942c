"""What a person should look at before a pass counts.

Either the change reaches for the interpreter or the runner of the tests, or it changes what the tests expect, outside of the tests.
"""

from codagent.repository.gate.suspicion.expected import Expectations, read_expectations
from codagent.repository.gate.suspicion.reach import Change, depends_on_chance, find_reaches

__all__ = ["Change", "Expectations", "depends_on_chance", "find_reaches", "read_expectations"]
