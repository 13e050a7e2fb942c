import json
import os
import random
import time
from dataclasses import replace

import pytest

from codagent.errors import ContextOverflow, LimitReached, NotServed, RecordError, RequestRefused
from codagent.store.ledger import Ledger, Spent
from codagent.store.metered_model import MeteredModel
from codagent.store.price import Price
from codagent.types import Limits, Message, Reply, Sampling

PROMPT = (Message("user", "hello"),)


class Writer:
    """A model that counts a token for every three bytes it is sent and writes as much as it may."""

    name = "writer"

    def __init__(self):
        self.asked = []

    def reply(self, messages, tools, sampling, on_text=None):
        self.asked.append(sampling.max_tokens)
        prompt = sum(len(message.content) for message in messages) // 3
        return Reply(Message("assistant", "x" * sampling.max_tokens), "stop", prompt, sampling.max_tokens, None, None, sampling, "p", "")

    def close(self):
        pass


def test_a_reservation_holds_until_it_is_settled():
    ledger = Ledger(None, Limits(tokens=1000), None)
    allowed, reserved = ledger.reserve(300, 400)
    assert (allowed, ledger.spent.tokens) == (400, 700)
    ledger.settle(reserved, Spent(350))
    assert ledger.spent.tokens == 350


def test_a_reply_is_cut_to_what_is_left():
    assert Ledger(None, Limits(tokens=1000), None).reserve(700, 400)[0] == 300


def test_a_request_that_cannot_fit_is_never_sent():
    with pytest.raises(LimitReached, match="1,000 tokens") as caught:
        Ledger(None, Limits(tokens=1000), None).reserve(990, 400)
    assert (caught.value.limit, caught.value.exit_code) == ("tokens", 8)


def test_time_that_is_over_stops_the_next_request():
    ledger = Ledger(None, Limits(seconds=0.01), None)
    time.sleep(0.02)
    with pytest.raises(LimitReached, match="--max-seconds"):
        ledger.reserve(1, 100)


@pytest.mark.parametrize("seed", range(20))
def test_neither_tokens_nor_money_ever_pass_their_limit(seed):
    rng = random.Random(seed)
    limits = Limits(tokens=rng.randint(2_000, 60_000), usd=rng.uniform(0.01, 0.5))
    price = Price(rng.uniform(1e-6, 1e-5), rng.uniform(1e-6, 5e-5))
    ledger, writer, spent = Ledger(None, limits, price), Writer(), []
    model, messages = MeteredModel(writer, ledger), PROMPT
    with pytest.raises(LimitReached):  # noqa: PT012 - the loop runs until it does
        while True:
            reply = model.reply(messages, (), Sampling(max_tokens=rng.randint(20, 2000)))
            spent.append(reply)
            messages = (*messages, reply.message, Message("user", "y" * rng.randint(0, 3000)))
    assert sum(r.prompt_tokens + r.completion_tokens for r in spent) <= limits.tokens
    assert sum(r.prompt_tokens * price.prompt_usd + r.completion_tokens * price.completion_usd for r in spent) <= limits.usd


@pytest.mark.parametrize("seed", range(300))
def test_no_limit_is_passed_where_a_cache_is_written_and_read(seed):
    rng = random.Random(seed)
    limits = Limits(tokens=rng.randint(2_000, 60_000), usd=rng.uniform(0.005, 0.5))
    usd = rng.uniform(1e-6, 1e-5)
    price = Price(usd, rng.uniform(1e-6, 5e-5), cached_usd=usd / 10, highest_prompt_usd=usd * 1.25)

    class Caching(Writer):
        def reply(self, messages, tools, sampling, on_text=None):
            reply = super().reply(messages, tools, sampling)
            cached = int(reply.prompt_tokens * rng.random())
            written = int((reply.prompt_tokens - cached) * rng.random())
            cost = price.cost(reply.prompt_tokens - written, reply.completion_tokens, cached) + written * price.highest_prompt_usd
            return replace(reply, cached_tokens=cached, cost_usd=cost)

    ledger, spent = Ledger(None, limits, price), []
    model, messages = MeteredModel(Caching(), ledger), PROMPT
    with pytest.raises(LimitReached):  # noqa: PT012 - the loop runs until it does
        while True:
            spent.append(model.reply(messages, (), Sampling(max_tokens=rng.randint(20, 2000))))
            messages = (*messages, spent[-1].message, Message("user", "y" * rng.randint(0, 3000)))
    assert sum(r.prompt_tokens - r.cached_tokens + r.completion_tokens for r in spent) == ledger.spent.tokens <= limits.tokens
    assert sum(r.cost_usd for r in spent) == pytest.approx(ledger.spent.usd)
    assert ledger.spent.usd <= limits.usd


def test_an_interrupted_request_counts_as_spent():
    class Broken(Writer):
        def reply(self, messages, tools, sampling, on_text=None):
            raise KeyboardInterrupt

    ledger = Ledger(None, Limits(), Price(1e-6, 1e-6))
    with pytest.raises(KeyboardInterrupt):
        MeteredModel(Broken(), ledger).reply(PROMPT, (), Sampling(max_tokens=100))
    assert ledger.spent.tokens > 100


@pytest.mark.parametrize("refusal", [ContextOverflow, RequestRefused, NotServed])
def test_a_refused_request_costs_nothing(refusal):
    class Small(Writer):
        def reply(self, messages, tools, sampling, on_text=None):
            raise refusal("no")

    ledger = Ledger(None, Limits(), None)
    with pytest.raises(refusal):
        MeteredModel(Small(), ledger).reply(PROMPT, (), Sampling())
    assert ledger.spent == Spent()


def test_what_a_provider_says_it_cost_goes_before_the_price():
    ledger = Ledger(None, Limits(), Price(1.0, 1.0))
    reply = Writer().reply(PROMPT, (), Sampling(max_tokens=5))
    assert ledger.cost(replace(reply, cost_usd=0.25)) == 0.25
    assert ledger.cost(reply) == 6.0


def test_a_cost_that_nobody_knows_is_not_nothing_also_when_the_loop_is_taken_up_again(tmp_path):
    ledger = Ledger(tmp_path / "l", Limits(), None)
    assert (MeteredModel(Writer(), ledger).reply(PROMPT, (), Sampling(max_tokens=50)).cost_usd, ledger.spent.cost) == (None, None)
    assert Ledger(tmp_path / "l", Limits(), Price(0.0, 0.0)).spent.cost is None


def test_a_cost_is_known_from_the_price_or_from_the_provider_and_is_part_of_the_reply():
    priced, told = Ledger(None, Limits(usd=None), Price(0.5, 1.0)), Ledger(None, Limits(), None)
    assert MeteredModel(Writer(), priced).reply(PROMPT, (), Sampling(max_tokens=20)).cost_usd == priced.spent.cost == 20.5
    told.settle(told.reserve(100, 50)[1], Spent(120, 0.25))
    assert told.spent.cost == 0.25
    assert Ledger(None, Limits(), None).spent.cost == 0


def test_every_booking_is_on_disk_and_adds_up(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Limits(), Price(1e-6, 1e-6))
    model = MeteredModel(Writer(), ledger)
    for _ in range(3):
        model.reply(PROMPT, (), Sampling(max_tokens=50))
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [line["entry"] for line in lines] == ["open", *["reserve", "settle"] * 3]
    assert sum(line["tokens"] for line in lines) == ledger.spent.tokens == 3 * 51


def test_a_loop_that_is_taken_up_again_goes_on_with_what_was_spent(tmp_path):
    path = tmp_path / "ledger.jsonl"
    first = Ledger(path, Limits(tokens=1000, usd=1.0), Price(1e-3, 1e-3))
    _, reserved = first.reserve(100, 50)
    first.settle(reserved, Spent(120, 0.12))
    first.reserve(100, 50)  # never settled: it may have been billed
    again = Ledger(path, Limits(tokens=1000, usd=1.0), Price(1e-3, 1e-3))
    assert again.spent.tokens == 120 + 150
    assert again.spent.usd == pytest.approx(0.27)


def test_the_time_of_earlier_sessions_counts_up_to_the_last_sign_of_life(tmp_path):
    path = tmp_path / "ledger.jsonl"
    entries = [("open", 1000.0), ("reserve", 2000.0), ("open", 5000.0), ("settle", 5300.0)]
    path.write_text("".join(json.dumps({"entry": entry, "tokens": 0, "usd": 0.0, "at": at}) + "\n" for entry, at in entries))
    assert Ledger(path, Limits(seconds=10_000.0), None).seconds_until_end == pytest.approx(10_000 - 1000 - 300, abs=50)
    path.write_text("".join(json.dumps({"entry": entry, "tokens": 0, "usd": 0.0, "at": at}) + "\n" for entry, at in entries))
    os.utime(path, (5300.0, 5300.0))
    assert Ledger(path, Limits(seconds=10_000.0), None, last_sign=7000.0).seconds_until_end == pytest.approx(10_000 - 1000 - 2000, abs=50)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_meanwhile_neither_gives_time_nor_takes_it(tmp_path, monkeypatch, jump):
    path, now = tmp_path / "ledger.jsonl", time.time()
    first = Ledger(path, Limits(seconds=10_000.0), None)
    monkeypatch.setattr(time, "time", lambda: now + jump)
    first.reserve(100, 50)
    os.utime(path, (now + jump, now + jump))
    again = Ledger(path, Limits(seconds=10_000.0), None, last_sign=now + jump + 500)
    assert again.seconds_until_end == pytest.approx(9500, abs=50)


def test_a_torn_last_line_is_dropped_and_other_damage_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    whole = json.dumps({"entry": "reserve", "tokens": 7, "usd": 0.0, "at": 1.0}) + "\n"
    path.write_text(whole + whole[:20])
    assert Ledger(path, Limits(), None).spent.tokens == 7
    path.write_text("nonsense\n" + whole)
    with pytest.raises(RecordError, match="damaged"):
        Ledger(path, Limits(), None)


def test_a_line_that_was_changed_or_lost_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, Limits(), None).reserve(100, 50)
    Ledger(path, Limits(), None).reserve(100, 50)
    lines = path.read_text().splitlines(keepends=True)
    for damaged in ([*lines[:1], *lines[2:]], [*lines[:1], lines[1].replace("150", "151"), *lines[2:]]):
        path.write_text("".join(damaged))
        with pytest.raises(RecordError, match="line 2, is damaged"):
            Ledger(path, Limits(), None)


@pytest.mark.parametrize("value", ["1" * 400, "1" * 5_001, "[" * 50_000, "null", '"1"', "{}", "NaN", "1e999", "true"])
@pytest.mark.parametrize("field", ["entry", "tokens", "usd", "at", "unpriced"])
def test_what_no_ledger_says_is_refused(tmp_path, field, value):
    line = {"entry": '"open"', "tokens": "1", "usd": "0.5", "at": "1.0", "unpriced": "0", field: value}
    text = ", ".join(f'"{name}": {text}' for name, text in line.items())
    (tmp_path / "l").write_text(f"{{{text}}}\n")
    with pytest.raises(RecordError, match="line 1, is damaged"):
        Ledger(tmp_path / "l", Limits(), None)


def test_time_is_held_back_for_the_gates(tmp_path):
    ledger = Ledger(None, Limits(seconds=100.0), None)
    ledger.keep_for_gates(30.0)
    ledger.keep_for_gates(10.0)
    assert ledger.seconds_left == pytest.approx(70, abs=0.5)
    assert ledger.seconds_until_end == pytest.approx(100, abs=0.5)


def test_a_little_time_is_always_held_back_for_bringing_the_work_home():
    for seconds, held in ((10.0, 1.0), (100.0, 2.0)):
        ledger = Ledger(None, Limits(seconds=seconds), None)
        assert ledger.seconds_until_end - ledger.seconds_left == pytest.approx(held, abs=0.01)


def test_a_ledger_that_is_interrupted_from_another_thread_lets_nothing_more_happen():
    ledger = Ledger(None, Limits(), None)
    ledger.interrupt()
    with pytest.raises(KeyboardInterrupt):
        ledger.reserve(1, 100)


def test_what_is_used_never_falls_and_what_is_set_aside_is_not_used(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Limits(tokens=10_000), None)
    seen = []
    for taken in (300, 20, 0):
        _, reserved = ledger.reserve(1000, 500)
        seen.append(ledger.used.tokens)
        ledger.settle(reserved, Spent(taken))
        seen.append(ledger.used.tokens)
    assert seen == [0, 300, 300, 320, 320, 320]
    ledger.reserve(1000, 500)  # and the process is killed
    again = Ledger(tmp_path / "ledger.jsonl", Limits(tokens=10_000), None)
    assert (again.used.tokens, again.spent.tokens) == (320, 1820)
    _, reserved = again.reserve(1000, 500)
    again.settle(reserved, Spent(5))
    third = Ledger(tmp_path / "ledger.jsonl", Limits(tokens=10_000), None)
    assert (third.used.tokens, third.spent.tokens) == (325, 1825)


def test_what_requests_that_broke_off_may_have_cost_is_apart_and_never_falls(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Limits(tokens=10_000), None)
    _, reserved = ledger.reserve(1000, 500)
    seen = [ledger.broken_off.tokens]  # it is under way
    ledger.settle(reserved, Spent(20))
    ledger.reserve(1000, 500)
    ledger.give_up()
    seen.append(ledger.broken_off.tokens)
    _, reserved = ledger.reserve(1000, 500)
    ledger.settle(reserved, Spent(20))
    ledger.reserve(1000, 500)  # nobody says that it broke off, and another follows
    ledger.reserve(1000, 500)  # and the process is killed
    seen.append(ledger.broken_off.tokens)
    again = Ledger(tmp_path / "ledger.jsonl", Limits(tokens=10_000), None)
    assert [*seen, again.broken_off.tokens] == [0, 1500, 3000, 4500]
    assert again.used + again.broken_off == again.spent
