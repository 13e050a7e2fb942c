"""Which attempt the next one starts from, and how attempts are told, on values worked by hand."""

import json

import pytest

from codagent.repository.attempts import (
    Attempt,
    AttemptHistory,
    Claim,
    answer_of,
    best,
    choose_attempt,
    describe_attempts,
    describe_checks,
    parse_claim,
    verdict_label,
)
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall


def judged(commit, reward=None, *failed, said=""):
    outcome = None if reward is None else Outcome(reward, reward == 1.0, "", failed)
    return Attempt(commit, outcome, Claim(said))


def finish(arguments):
    return Message("assistant", "", (ToolCall("1", "finish", arguments),))


def solved(commit, reward, task="one"):
    return Episode("solve", 0, Task(task, "x"), "", (), commit=commit, outcome=Outcome(reward, reward == 1.0, ""))


@pytest.mark.parametrize(
    ("rewards", "by_best", "by_last"),
    [
        ([], "start", "start"),
        ([0.3], "1", "1"),
        ([0.3, 0.2], "1", "2"),
        ([0.3, 0.3], "2", "2"),
        ([0.0], "1", "1"),
        ([0.2, 0.5, 0.4, 0.5, 0.1], "4", "5"),
        ([None, None], "2", "2"),
    ],
    ids=["none", "better", "worse", "a tie goes to the later", "as bad as the start", "the later of the best", "none is judged"],
)
def test_an_attempt_starts_from_the_best_or_the_last_or_the_start(rewards, by_best, by_last):
    start = judged("start", 0.0)
    attempts = [judged(str(number), reward) for number, reward in enumerate(rewards, 1)]
    assert choose_attempt(start, attempts, "best").commit == by_best
    assert choose_attempt(start, attempts, "last").commit == by_last
    assert choose_attempt(start, attempts, "start").commit == "start"


def test_a_start_that_is_better_than_all_attempts_is_the_best():
    assert choose_attempt(judged("start", 0.5), [judged("1", 0.4), judged("2", 0.1)], "best").commit == "start"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (json.dumps({"summary": "did it"}), Claim("did it")),
        (json.dumps({"summary": "", "blocked": "no key"}), Claim("", "no key")),
        (json.dumps({"summary": None, "blocked": None}), Claim()),
        ('{"summary": "two\nlines"}', Claim("two\nlines")),
        ("not JSON", Claim("not JSON")),
        ("[1]", Claim("[1]")),
        ("[" * 50_000, Claim("[" * 50_000)),
        ('{"summary": ' * 50_000, Claim('{"summary": ' * 50_000)),
        ('{"summary": ' + "9" * 5000 + "}", Claim('{"summary": ' + "9" * 5000 + "}")),
        (r'{"summary": "a\ud83d", "blocked": "\udcff\ud83d"}', Claim("a\ufffd", "\udcff\ufffd")),
        ("\ud83d", Claim("\ufffd")),
    ],
    ids=range(11),
)
def test_a_claim_is_what_the_call_of_finish_says(arguments, expected):
    assert parse_claim([Message("assistant", "x"), finish(arguments)]) == expected


def test_the_last_claim_holds_and_without_one_nothing_is_claimed():
    assert parse_claim([finish('{"summary": "first"}'), finish('{"summary": "last"}')]) == Claim("last")
    assert parse_claim([Message("assistant", "I am done")]) == Claim()


def test_the_best_of_a_loop_is_that_of_its_last_task():
    loop = Loop("l", "g", "repository", "m", "start")
    episodes = (solved("a", 1.0), solved("b", 0.5, "two"), solved("c", 0.2, "two"))
    whole = Loop("l", "g", "repository", "m", "start", episodes)
    assert (best(whole), best(whole, "one"), best(loop), best(loop, "one")) == ("b", "a", None, None)


def test_a_verdict_is_told_in_a_few_words():
    assert [
        verdict_label(outcome) for outcome in (None, Outcome(1.0, True, ""), Outcome(0.25, False, ""), Outcome(0.5, False, "", ("x", "y")))
    ] == [
        "not judged",
        "passed",
        "failed, reward 0.25",
        "failed, reward 0.50, 2 did not pass",
    ]


def test_attempts_are_told_a_line_each_with_the_blocker_before_the_summary():
    blocked = Attempt("b", None, Claim("something", "no\nkey"))
    assert describe_attempts([judged("a", 0.5, "x", said="tried\n  this"), blocked, judged("c", 1.0)]).splitlines() == [
        "1. failed, reward 0.50, 1 did not pass: tried this",
        "2. not judged: no key",
        "3. passed",
    ]


def step(content, *calls):
    message = Message("assistant", content, tuple(ToolCall("1", name, json.dumps(arguments)) for name, arguments in calls))
    return Step(Reply(message, "stop", 1, 1, None, None, Sampling(), "p", ""), Observation(()), 1.0)


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        ([], ""),
        ([step("hm", ("finish", {"summary": " One.\n\nTwo.\n"}))], "One.\n\nTwo."),
        ([step("", ("finish", {"summary": "Half.", "blocked": "no key"}))], "Half.\n\nno key"),
        ([step("It adds.\n", ("finish", {"summary": ""}))], "It adds."),
        ([step("", ("bash", {"command": "ls"})), step("It adds\nnumbers.")], "It adds\nnumbers."),
        ([step("It adds."), step("", ("finish", {"summary": "Answered."}))], "It adds.\n\nAnswered."),
        ([step("It adds."), step("I look.", ("bash", {"command": "ls"}))], ""),
    ],
    ids=["no step", "a summary", "with an obstacle", "beside finish", "without a call", "before finish", "only on the way"],
)
def test_the_answer_is_all_that_was_said_at_the_end(steps, answer):
    assert answer_of(Episode("solve", 0, Task("t", "x"), "", (), tuple(steps))) == answer


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(1.0, True, "", total=15), "passed"),
        (Outcome(1.0, True, "", kept=True), "passed, as an earlier command judged the same files"),
        (Outcome(0.87, False, "", ("t.py::test_a", "t.py::test_b[x]"), 15), "13 of 15 pass; failing: test_a, test_b[x]"),
        (Outcome(0.0, False, "", ("pytest -q",), 1), "0 of 1 pass; failing: pytest -q"),
        (Outcome(0.5, False, "", tuple("abcdefg"), 14), "7 of 14 pass; failing: a, b, c, d, e and 2 more"),
        (Outcome(0.5, False, "", ("a",)), "not all pass; failing: a"),
    ],
)
def test_checks_are_described_by_numbers_and_names(outcome, said):
    assert describe_checks(outcome) == said


def test_a_task_with_a_start_of_its_own_begins_there():
    history = AttemptHistory("start", "best")
    history.add(0, Attempt("better", Outcome(0.5, False, "")))
    history.begin_task("own")
    assert history.choose_start().commit == "own"
    history.begin_task()
    assert history.choose_start().commit == "own"
