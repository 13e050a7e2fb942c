"""Loops side by side: each in a thread of its own through codagent's own `run_loop`, all that wait for a reply answered as one batch.

What a loop does follows from its start and its replies, and a reply from its prompt and its seed; so the order in which threads run
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol

from codagent.agent.episode import Agent
from codagent.agent.loop import Carry, in_order, run_loop
from codagent.errors import ModelError, SandboxError
from codagent.types import Environment, Loop, Message, Profile, Reply, Sampling, Stop, Task, Tokens, Tool
from codagent_train.engines import Engine, Ids
from codagent_train.environments.packs import seed_of
from codagent_train.spoken import CALLING, conversation, heard

PATIENCE_S = 3600.0  # for what loops do between two replies


class Tokenizer(Protocol):
    """The ids of a request as the model reads it, and of a whole reply as it would write it; the text of a reply."""

    def encode(self, messages: Sequence[Message], /) -> Ids: ...
    def written(self, text: str, /) -> Ids: ...
    def decode(self, ids: Sequence[int], /) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a loop asks the policy for."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Sampler:
    """A policy at work. `policy` names its weights; the temperature is one for all replies."""

    engine: Engine
    tokenizer: Tokenizer
    policy: str
    temperature: float = 1.0

    def replies(self, requests: Sequence[Asked]) -> list[Reply]:
        prompts = [self.tokenizer.encode(conversation(each.messages, each.tools)) for each in requests]
        samplings = [replace(each.sampling, temperature=self.temperature, top_p=1.0, top_k=0) for each in requests]
        drawn = self.engine.generate(prompts, samplings)
        return [self._reply(*each) for each in zip(requests, drawn, samplings, strict=True)]

    def _reply(self, asked: Asked, tokens: Tokens, sampling: Sampling) -> Reply:
        ids = tokens.completion_ids
        text, cut = self.tokenizer.decode(ids), ids[-1] not in self.engine.ends
        message = heard(text, asked.messages, asked.tools, cut=cut)
        stop: Stop = "length" if cut else "tool_calls" if message.tool_calls else "stop"
        policy = f"{self.policy} {CALLING}" if asked.tools else self.policy
        return Reply(message, stop, len(tokens.prompt_ids), len(ids), 0.0, tokens, sampling, policy, text)


@dataclass(frozen=True, slots=True)
class Start:
    """A loop that is to be played: its tasks, where, the seed that its replies draw on, and how notes come from task to task."""

    loop: Loop
    environment: Environment
    tasks: tuple[Task, ...]
    seed: int
    carry: Carry = Carry("between")


def roll_out(sampler: Sampler, starts: Sequence[Start], profile: Profile, *, patience_s: float = PATIENCE_S) -> list[Loop]:
    """The loops, whole, in the order of their starts. SandboxError when some have not asked or ended within the patience."""
    table = _Table(len(starts), patience_s)
    played = [_threaded(partial(_play, table, seat, start, profile), table.leave) for seat, start in enumerate(starts)]
    try:
        while starts and (asked := table.wait()):
            seats = sorted(asked)
            table.serve(dict(zip(seats, sampler.replies([asked[seat] for seat in seats]), strict=True)))
    finally:
        table.close()
    return [loop.result() for loop in played]


class _Table:
    """Where loops wait: once each one that has not left waits, all that they asked goes out together."""

    def __init__(self, seats: int, patience_s: float) -> None:
        self._seats, self._patience_s = seats, patience_s
        self._lock, self._asked, self._closed = Lock(), dict[int, Asked](), False
        self._full: SimpleQueue[dict[int, Asked]] = SimpleQueue()
        self._served: list[SimpleQueue[Reply | None]] = [SimpleQueue() for _ in range(seats)]

    def ask(self, seat: int, asked: Asked) -> Reply:
        """ModelError once the table is closed."""
        with self._lock:
            self._asked[seat] = asked
            self._pass_on()
        reply = None if self._closed else self._served[seat].get()
        if reply is None:
            raise ModelError("the rollout was broken off")
        return reply

    def leave(self) -> None:
        with self._lock:
            self._seats -= 1
            self._pass_on()

    def wait(self) -> dict[int, Asked]:
        """What is asked, by seat; empty when all have left."""
        try:
            return self._full.get(timeout=self._patience_s)
        except Empty:
            missing = self._seats - len(self._asked)
            raise SandboxError(f"{missing} of {self._seats} loops have not asked for a reply for {self._patience_s:.0f} s") from None

    def serve(self, replies: dict[int, Reply]) -> None:
        for seat, reply in replies.items():
            self._served[seat].put(reply)

    def close(self) -> None:
        """No loop waits any longer."""
        self._closed = True
        for served in self._served:
            served.put(None)

    def _pass_on(self) -> None:
        if len(self._asked) == self._seats:
            self._full.put(self._asked)
            self._asked = {}


class _Seat:
    """A Model for one loop. Each of its replies has a seed of its own, whatever the episode."""

    name = "policy"

    def __init__(self, table: _Table, seat: int, seed: int) -> None:
        self._table, self._seat, self._seed, self._count = table, seat, seed, 0

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling) -> Reply:
        seed = seed_of("train", self._seed, self._count)
        self._count += 1
        return self._table.ask(self._seat, Asked(messages, tools, replace(sampling, seed=seed)))

    def close(self) -> None:
        pass


def _play(table: _Table, seat: int, start: Start, profile: Profile) -> Loop:
    agent = Agent(_Seat(table, seat, start.seed), profile)
    return run_loop(agent, start.environment, in_order(start.tasks), loop=start.loop, carry=start.carry)


def _threaded(work: Callable[[], Loop], after: Callable[[], None]) -> Future[Loop]:
    """What `work` gives, or raises; a daemon, so that a loop that hangs does not keep the process from ending."""
    future: Future[Loop] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            future.set_exception(error)
        finally:
            after()

    Thread(target=run, daemon=True).start()
    return future
