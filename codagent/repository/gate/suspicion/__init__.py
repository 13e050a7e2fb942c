"""What a person should look at before a pass counts.

Either the change reaches for the interpreter or the runner of the tests, or it changes what the tests expect, outside of the tests.
"""

from codagent.repository.gate.suspicion.review import FileRules, Review

__all__ = ["FileRules", "Review"]
