"""Twins of the protected tests: the same tests with the same names, in which honest code must fail.

In a twin, every assertion of a test is turned round, or expects other values, which are near to the right one and of its kind where the
test allows no tolerance. The test goes on after each of them. At its end it fails if
all assertions have failed, and it is skipped if it came to none. It passes only when an assertion holds that cannot hold: then something
forces passes, or agrees with anything.

The files of the tests are the same in each run. The sources of the twins are told to the process of the tests before it imports anything
of the repository, and their statements stand at the lines of the tests, so neither the disk nor a traceback tells which run it is.

The host runs the tests three times, in three sandboxes: as they are, and in two mixtures. In the first mixture a random half of the tests
are twins, in the second the other half. So each test also runs a second time as it is, and a failure does not tell the code under test in
which of the runs it is.

A check that is judged by its exit code alone must fail when all tests just fail, and must pass with inverse twins, which pass when the
twins fail. `end_tests` and `invert_tests` write such tests and scripts, `end_command` and `invert_command` such texts of `python -c`.
"""

from codagent.repository.gate.twins.mixture import (
    NO_TWINS,
    Mixtures,
    TwinMixture,
    end_command,
    end_tests,
    invert_command,
    invert_tests,
    mix_tests,
)

__all__ = ["NO_TWINS", "Mixtures", "TwinMixture", "end_command", "end_tests", "invert_command", "invert_tests", "mix_tests"]
