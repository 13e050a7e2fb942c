"""Collects the requests of many loops, which run in threads, into batches."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock

from codagent.errors import ModelError, SandboxError
from codagent.types import Reply
from codagent_train.rollout.sampler import SampleRequest


class RequestBatcher:
    """Turns the single requests of many loop threads into batches. Thread-safe.

    A batch is released when every loop that is still running has a pending request. Each loop has a slot, a number from 0.
    """

    def __init__(self, slots: int, patience_s: float) -> None:
        self._running, self._patience_s = slots, patience_s
        self._lock, self._pending, self._closed = Lock(), dict[int, SampleRequest](), False
        self._batches: SimpleQueue[dict[int, SampleRequest]] = SimpleQueue()
        self._delivered: list[SimpleQueue[Reply | None]] = [SimpleQueue() for _ in range(slots)]

    def submit(self, slot: int, request: SampleRequest) -> Reply:
        """Queue a request and wait for its reply. Raises ModelError when the batcher is closed."""
        with self._lock:
            self._pending[slot] = request
            self._release_if_full()
        reply = None if self._closed else self._delivered[slot].get()
        if reply is None:
            raise ModelError("the rollout was aborted")
        return reply

    def retire(self) -> None:
        """Wait for one loop less from now on: it has ended and has no pending request."""
        with self._lock:
            self._running -= 1
            self._release_if_full()

    def next_batch(self) -> dict[int, SampleRequest]:
        """Wait for the next batch and return its requests by slot; empty when all loops have ended.

        Raises SandboxError when no batch is complete after the patience.
        """
        try:
            return self._batches.get(timeout=self._patience_s)
        except Empty:
            missing = self._running - len(self._pending)
            raise SandboxError(f"{missing} of {self._running} loops have not asked for a reply for {self._patience_s:.0f} s") from None

    def deliver(self, replies: dict[int, Reply]) -> None:
        """Hand each slot its reply."""
        for slot, reply in replies.items():
            self._delivered[slot].put(reply)

    def close(self) -> None:
        """Abort the requests that wait, and all later ones."""
        self._closed = True
        for queue in self._delivered:
            queue.put(None)

    def _release_if_full(self) -> None:
        if len(self._pending) == self._running:
            self._batches.put(self._pending)
            self._pending = {}
