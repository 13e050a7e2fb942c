"""Which commands are pytest, and what a journal comes to."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from contextlib import closing

import pytest

from codagent.repository.gate.commands.pytest_command import parse_pytest
from codagent.repository.gate.pytest_run import read_journal, run_tests, summarise_journal
from codagent.sandbox.local import LocalSandbox

KEY = b"key"


def journal(*events):
    last, lines = b"", []
    for event in events:
        text = json.dumps(event).encode()
        last = hmac.new(KEY, last + text, hashlib.sha256).hexdigest().encode()
        lines.append(last + b" " + text)
    return lines


def test_a_journal_is_read_up_to_the_first_line_that_is_not_the_runners():
    a, b, c = ({"kind": name} for name in "abc")
    lines = journal(a, b, c)
    assert list(read_journal(b"\n".join(lines), KEY)) == [a, b, c]
    assert list(read_journal(b"\n".join(lines), b"other")) == []
    assert list(read_journal(b"\n".join([lines[0], lines[2]]), KEY)) == [a]
    assert list(read_journal(b"\n".join([lines[0], lines[1].replace(b'"b"', b'"c"'), lines[2]]), KEY)) == [a]
    assert list(read_journal(b"\n".join([*lines[:2], b"\xff"]), KEY)) == [a, b]


def collected(*ids):
    return {"kind": "collected", "ids": ids, "canaries": True}


def report(name, when, outcome, *, xfail=False):
    return {"kind": "report", "id": name, "when": when, "outcome": outcome, "xfail": xfail}


def canary(want, call, setup="passed"):
    return {"kind": "canary", "want": want, "setup": setup, "call": call}


def test_a_test_passes_only_when_its_call_did_and_nothing_failed():
    events = [collected(*"abcdef"), *(report(name, "setup", "passed") for name in "abcde")]
    events += [report("a", "call", "passed"), report("a", "teardown", "passed")]
    events += [report("b", "call", "passed"), report("b", "teardown", "failed")]
    events += [report("c", "call", "skipped"), report("d", "call", "skipped", xfail=True), report("e", "teardown", "passed")]
    assert summarise_journal(events).outcomes == {"a": "passed", "b": "failed", "c": "skipped", "d": "xfailed", "e": "", "f": ""}


@pytest.mark.parametrize(
    ("canaries", "trusted"),
    [
        ([canary("failed", "failed"), canary("passed", "passed")], True),
        ([canary("failed", "passed"), canary("passed", "passed")], False),
        ([canary("failed", "failed"), canary("passed", "failed")], False),
        ([canary("failed", None)], False),
        ([canary("failed", None, setup="skipped"), canary("failed", "failed")], True),
        ([canary("failed", None, setup="skipped")], False),
        ([], False),
    ],
)
def test_a_runner_is_trusted_when_its_canaries_do_as_they_must(canaries, trusted):
    assert summarise_journal([collected("a"), report("a", "call", "passed"), *canaries]).trusted is trusted


CLASSES = """
import unittest

class TestFirst:
    def test_one(self): pass
    def test_two(self): pass
    class TestInner:
        def test_three(self): pass
    def test_four(self): pass

class TestSecond(unittest.TestCase):
    def test_five(self): pass
    def test_six(self): pass

def test_seven(): pass
def test_eight(): pass
"""


class OpenSandbox(LocalSandbox):
    """A sandbox that keeps the journal of the judge."""

    def __init__(self):
        super().__init__()
        self.events = []

    def read(self, path):
        data = super().read(path)
        self.events = [json.loads(line.partition(b" ")[2]) for line in data.splitlines()]
        return data


@pytest.fixture
def sandbox():
    with closing(OpenSandbox()) as opened:
        yield opened


def run_source(sandbox, source):
    sandbox.write("test_all.py", source.encode())
    command = parse_pytest(f"{sys.executable} -m pytest -q -p no:cacheprovider")
    assert command is not None
    return run_tests(sandbox, command, seconds=60)[1]


@pytest.mark.parametrize("source", [CLASSES, CLASSES.partition("def test_seven")[0], CLASSES.partition("class TestSecond")[0]])
def test_every_canary_runs_among_tests_in_classes(sandbox, source):
    report = run_source(sandbox, source)
    canaries = [event for event in sandbox.events if event["kind"] == "canary"]
    assert len(canaries) >= 4
    assert [(one["setup"], one["call"]) for one in canaries] == [("passed", one["want"]) for one in canaries]
    assert report.trusted
    assert set(report.outcomes.values()) == {"passed"}


@pytest.mark.parametrize("patched", ["sys, '_getframe'", "sys, 'settrace'", "os, 'fsdecode'", "json, 'dumps'"])
def test_a_test_may_fail_while_the_interpreter_is_patched(sandbox, patched):
    source = f"import json, os, sys\ndef test_one(monkeypatch):\n    monkeypatch.delattr({patched})\n    assert 0\ndef test_two(): pass\n"
    assert run_source(sandbox, source).outcomes == {"test_all.py::test_one": "failed", "test_all.py::test_two": "passed"}


def test_a_journal_without_lines_has_no_report():
    assert summarise_journal([]) is None


@pytest.mark.parametrize("event", [{"kind": "report"}, {"kind": "collected", "ids": 3}, {"kind": "report", "id": [], "when": "call"}])
def test_a_line_that_is_none_of_the_plugin_is_not_trusted(event):
    report = summarise_journal([collected("a"), event])
    assert report is not None
    assert not report.trusted


@pytest.mark.parametrize(("outcomes", "worst"), [("passed failed", "failed"), ("skipped passed", "skipped"), ("passed passed", "passed")])
def test_a_test_of_several_sessions_has_its_worst_outcome(outcomes, worst):
    events = [collected("a") | {"session": n} for n in (0, 1)]
    events += [report("a", "call", outcome) | {"session": n} for n, outcome in enumerate(outcomes.split())]
    events += [{"kind": "finished", "code": 0, "session": 0}, {"kind": "finished", "code": 1, "session": 1}]
    made = summarise_journal(events)
    assert made is not None
    assert (made.outcomes, made.code) == ({"a": worst}, 1)
    assert summarise_journal(events[:-1]).code is None
