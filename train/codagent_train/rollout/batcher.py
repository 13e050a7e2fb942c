"""The single requests of many loops, each in a thread of its own, as batches."""

from __future__ import annotations

from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock

from codagent.errors import ModelError, SandboxError
from codagent.protocols import OnText, ignore_text
from codagent.types import Message, Reply, Sampling, Tool
from codagent_train.environments.packs import seed_of
from codagent_train.rollout.sampler import SampleRequest


class RequestBatcher:
    """Where loops wait: once each one that has not left waits, all that they asked goes out together."""

    def __init__(self, slots: int, patience_s: float) -> None:
        self._running, self._patience_s = slots, patience_s
        self._lock, self._pending, self._closed = Lock(), dict[int, SampleRequest](), False
        self._batches: SimpleQueue[dict[int, SampleRequest]] = SimpleQueue()
        self._delivered: list[SimpleQueue[Reply | None]] = [SimpleQueue() for _ in range(slots)]

    def submit(self, slot: int, request: SampleRequest) -> Reply:
        """ModelError once the batcher is closed."""
        with self._lock:
            self._pending[slot] = request
            self._release_if_full()
        reply = None if self._closed else self._delivered[slot].get()
        if reply is None:
            raise ModelError("the rollout was broken off")
        return reply

    def retire(self) -> None:
        with self._lock:
            self._running -= 1
            self._release_if_full()

    def next_batch(self) -> dict[int, SampleRequest]:
        """What is asked, by slot; empty when all have left."""
        try:
            return self._batches.get(timeout=self._patience_s)
        except Empty:
            missing = self._running - len(self._pending)
            raise SandboxError(f"{missing} of {self._running} loops have not asked for a reply for {self._patience_s:.0f} s") from None

    def deliver(self, replies: dict[int, Reply]) -> None:
        for slot, reply in replies.items():
            self._delivered[slot].put(reply)

    def close(self) -> None:
        """No loop waits any longer."""
        self._closed = True
        for queue in self._delivered:
            queue.put(None)

    def _release_if_full(self) -> None:
        if len(self._pending) == self._running:
            self._batches.put(self._pending)
            self._pending = {}


class BatchedModel:
    """A Model for one loop. Each of its replies has a seed of its own, whatever the episode."""

    name = "policy"

    def __init__(self, batcher: RequestBatcher, slot: int, seed: int) -> None:
        self._batcher, self._slot, self._seed, self._count = batcher, slot, seed, 0

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del on_text
        seed = seed_of("train", self._seed, self._count)
        self._count += 1
        return self._batcher.submit(self._slot, SampleRequest(messages, tools, replace(sampling, seed=seed)))

    def close(self) -> None:
        pass
