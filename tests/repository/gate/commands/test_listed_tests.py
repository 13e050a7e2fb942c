"""Lists of tests in the output of other runners than pytest."""

from __future__ import annotations

import pytest

from codagent.repository.gate.commands.listed_tests import lists_tests, make_verbose, read_list

UNITTEST = """
test_a (test_a.A.test_a)
Doc of a. ... hello
ok
test_b (test_a.A.test_b) ... skipped 'no'
test_c (test_a.A.test_c) ...
  test_c (test_a.A.test_c) (i=1) ... FAIL
test_d (tests.test_a.A.test_d) ... expected failure
tests.test_z (unittest.loader._FailedTest.tests.test_z) ... ERROR
"""
GO = "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/one (0.00s)\n--- SKIP: TestB (0.00s)\n--- FAIL: TestC (0.00s)\n"
CARGO = "running 3 tests\ntest tests::adds ... ok\ntest tests::slow ... ignored\ntest src/lib.rs - add (line 3) ... FAILED\n"
NODE = "TAP version 13\n# Subtest: adds\nok 1 - adds\n  ---\nnot ok 2 - subtracts\nok 3 - later # SKIP\n"
JEST = "PASS ./a.test.js\n  sums\n    ✓ adds (3 ms)\n    ✕ subtracts\n    ○ skipped later\n"


@pytest.mark.parametrize(
    ("check", "output", "tests"),
    [
        (
            "python3 -m unittest",
            UNITTEST,
            {"test_a (test_a.A.test_a)": True, "test_b (test_a.A.test_b)": False, "test_d (tests.test_a.A.test_d)": True},
        ),
        ("go test ./...", GO, {"TestA": True, "TestA/one": True, "TestB": False, "TestC": True}),
        ("cargo test --all", CARGO, {"tests::adds": True, "tests::slow": False, "src/lib.rs - add (line 3)": True}),
        ("npm test", NODE, {"adds": True, "subtracts": True, "later": False}),
        ("npx jest", JEST, {"adds": True, "subtracts": True, "later": False}),
        ("sh run.sh", GO + NODE, {}),
    ],
)
def test_tests_are_read_with_whether_they_were_run(check, output, tests):
    assert {name: ran for name, ran in read_list(check, output).items() if "test_c" not in name} == tests
    assert lists_tests(check) == bool(tests)


@pytest.mark.parametrize(
    ("check", "verbose"),
    [
        ("python3 -m unittest", "python3 -m unittest -v"),
        ("cd a && python -m unittest discover -s tests", "cd a && python -m unittest discover -v -s tests"),
        ("python3 -m unittest -v tests.test_a", "python3 -m unittest -v tests.test_a"),
        ("go test ./...", "go test -v ./..."),
        ("go test -v ./...", "go test -v ./..."),
        ("cargo test", "cargo test"),
    ],
)
def test_a_runner_is_told_to_print_its_tests(check, verbose):
    assert make_verbose(check) == verbose
