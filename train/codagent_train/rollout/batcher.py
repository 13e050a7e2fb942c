"""The single requests of many loops, each in a thread of its own, as batches."""

from __future__ import annotations

from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock

from codagent.errors import ModelError, SandboxError
from codagent.types import Message, OnText, Reply, Sampling, Tool, ignore_text
from codagent_train.environments.packs import seed_of
from codagent_train.rollout.sampler import Asked


class RequestBatcher:
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


class BatchedModel:
    """A Model for one loop. Each of its replies has a seed of its own, whatever the episode."""

    name = "policy"

    def __init__(self, table: RequestBatcher, seat: int, seed: int) -> None:
        self._table, self._seat, self._seed, self._count = table, seat, seed, 0

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del on_text
        seed = seed_of("train", self._seed, self._count)
        self._count += 1
        return self._table.ask(self._seat, Asked(messages, tools, replace(sampling, seed=seed)))

    def close(self) -> None:
        pass
