"""How long a model that fails is asked again, and what the person hears meanwhile. Here a minute takes a moment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from codagent.errors import ModelError, NotServed
from codagent.models.http import patience, retry
from codagent.models.http.patience import Patience
from codagent.models.http.retry import Transient
from codagent.models.servers.openai_api import OpenAIModel
from codagent.protocols import OnText, Restart, ignore_text
from codagent.types import Message, Sampling
from tests.models.loopback import Answer, refusal, serve

ASK = (Message("user", "x"),)
BUSY = Transient("m keeps failing (529)", 0.05, kind="busy", says="529 Overloaded")
GONE = Transient("m refused the connection", 0.05, kind="unreachable")
BROKEN = Transient("m closed the connection", 0.01)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_MINUTE_S", 0.3)
    monkeypatch.setattr(patience, "_BEAT_S", 0.01)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    monkeypatch.setattr(retry, "_LONGEST_PAUSE_S", 0.02)


def failing(error: Transient, seconds: float) -> Callable[[OnText], str]:
    """Fail for so many seconds, then answer."""
    until = time.monotonic() + seconds

    def try_once(_: OnText) -> str:
        if time.monotonic() < until:
            raise error
        return "done"

    return try_once


def test_a_busy_server_is_waited_for_and_the_person_is_told_once_a_minute() -> None:
    said: list[str] = []

    def try_once(_: OnText) -> str:
        if len(said) < 2:
            raise BUSY
        return "done"

    assert Patience(60, said.append).ask("m", try_once, ignore_text) == "done"
    [first, second] = [re.fullmatch("waiting for m: it says 529 Overloaded; ([0-9]+) min so far", line) for line in said]
    assert first
    assert second
    assert 0 < int(first[1]) < int(second[1])


def test_a_server_that_answers_within_a_minute_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_MINUTE_S", 60.0)
    said: list[str] = []
    Patience(9, said.append).ask("m", failing(BUSY, 0.15), ignore_text)
    assert said == []


def test_the_wait_ends() -> None:
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"m keeps failing \(529\)"):
        Patience(0.4).ask("m", failing(BUSY, 600), ignore_text)
    assert 0.2 < time.monotonic() - began < 300


def test_no_wait_means_one_request() -> None:
    tries: Iterator[int] = iter(range(9))

    def try_once(_: OnText) -> str:
        next(tries)
        raise BUSY

    with pytest.raises(ModelError):
        Patience(0).ask("m", try_once, ignore_text)
    assert next(tries) == 1


def test_a_server_that_never_answered_is_waited_for_only_a_short_while() -> None:
    with pytest.raises(ModelError, match="refused the connection"):
        Patience(9).ask("m", failing(GONE, 0.8), ignore_text)


@pytest.mark.parametrize(("errors", "kind"), [((GONE,), NotServed), ((GONE, BUSY), ModelError), ((BROKEN,), ModelError)])
def test_only_requests_that_never_arrived_are_certain_to_cost_nothing(errors: tuple[Transient, ...], kind: type[ModelError]) -> None:
    tries = cycle(errors)

    def try_once(_: OnText) -> str:
        raise next(tries)

    with pytest.raises(ModelError) as raised:
        Patience(0.3).ask("m", try_once, ignore_text)
    assert type(raised.value) is kind


def test_a_server_that_has_answered_before_is_waited_for_while_its_line_is_broken() -> None:
    patient = Patience(9)
    patient.ask("m", failing(GONE, 0), ignore_text)
    assert patient.ask("m", failing(GONE, 0.8), ignore_text) == "done"


@pytest.mark.parametrize(("error", "text"), [(BROKEN, ""), (BUSY, "a")])
def test_an_answer_that_breaks_off_again_and_again_is_not_paid_for_again_and_again(error: Transient, text: str) -> None:
    tries: Iterator[int] = iter(range(99))

    def try_once(hear: OnText) -> str:
        next(tries)
        hear(text)
        raise error

    patient = Patience(9)
    patient.ask("m", failing(GONE, 0), ignore_text)
    with pytest.raises(ModelError):
        patient.ask("m", try_once, ignore_text)
    assert next(tries) == 9


@pytest.mark.parametrize(
    ("status", "message", "headers"),
    [
        (429, "You exceeded your current quota, please check your plan and billing details. Please retry in 0.1s.", {}),
        (429, "slow down", {"retry_after_ms": "100"}),
        (503, "busy", {}),
        (529, "Overloaded", {}),
    ],
)
def test_what_passes_is_waited_out(status: int, message: str, headers: dict[str, str]) -> None:
    with serve(*[refusal(status, message, **headers)] * 3, Answer("done")) as server:
        assert OpenAIModel(server.url, "m", patience=Patience(9)).reply(ASK, (), Sampling()).raw == "done"
    assert len(server.requests) == 4


@pytest.mark.parametrize("code", ["insufficient_quota", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"])
def test_a_quota_that_lasts_is_not_waited_for(code: str) -> None:
    answer = refusal(429, "You exceeded your current quota. Please retry in 7.2s.", code)
    with serve(answer) as server, pytest.raises(ModelError, match="out of quota"):
        OpenAIModel(server.url, "m", patience=Patience(9)).reply(ASK, (), Sampling())
    assert len(server.requests) == 1


def heard_while(errors: list[tuple[str, Transient]]) -> list[str]:
    """What is heard while tries fail, each after it has brought a text ("": none)."""
    heard: list[str] = []
    left = list(errors)

    def try_once(hear: OnText) -> str:
        if not left:
            hear("whole")
            return "done"
        text, error = left.pop(0)
        hear(text)
        raise error

    Patience(9).ask("m", try_once, heard.append)
    return [f"again: {text}" if isinstance(text, Restart) else text for text in heard if text]


def test_a_reply_that_broke_off_is_begun_anew_and_that_is_heard() -> None:
    assert heard_while([("half", BROKEN)]) == ["half", "again: asking m again: m closed the connection", "whole"]


def test_the_first_failure_before_any_text_is_heard_of_only_when_another_follows() -> None:
    assert heard_while([("", GONE)]) == ["whole"]
    assert heard_while([("", BUSY), ("", BUSY)]) == ["again: asking m again: it says 529 Overloaded", "whole"]
