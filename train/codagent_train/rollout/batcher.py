"""Collects the requests of many loops, or of many workers with loops of their own, into batches."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock
from typing import Generic, TypeVar

from codagent.errors import ModelError, SandboxError

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class RequestBatcher(Generic[Request, Answer]):
    """Turns the single requests of many threads into batches. Thread-safe.

    A batch is released when everyone who is still running has a pending request. Each has a slot, a number from 0.
    """

    def __init__(self, slots: int, patience_s: float) -> None:
        self._running, self._patience_s = slots, patience_s
        self._lock, self._pending, self._closed = Lock(), dict[int, Request](), False
        self._batches: SimpleQueue[dict[int, Request]] = SimpleQueue()
        self._delivered: list[SimpleQueue[Answer | None]] = [SimpleQueue() for _ in range(slots)]

    def submit(self, slot: int, request: Request) -> Answer:
        """Queue a request and wait for its answer. Raises ModelError when the batcher is closed."""
        with self._lock:
            self._pending[slot] = request
            self._release_if_full()
        answer = None if self._closed else self._delivered[slot].get()
        if answer is None:
            raise ModelError("the rollout was aborted")
        return answer

    def retire(self, slot: int) -> None:
        """Wait no more for this slot: it has ended."""
        with self._lock:
            self._running -= 1
            self._pending.pop(slot, None)
            self._release_if_full()

    def next_batch(self) -> dict[int, Request]:
        """Wait for the next batch and return its requests by slot; empty when all have ended.

        Raises SandboxError when no batch is complete after the patience.
        """
        try:
            return self._batches.get(timeout=self._patience_s)
        except Empty:
            missing = self._running - len(self._pending)
            raise SandboxError(f"{missing} of {self._running} loops have not asked for a reply for {self._patience_s:.0f} s") from None

    def deliver(self, answers: dict[int, Answer]) -> None:
        """Hand each slot its answer."""
        for slot, answer in answers.items():
            self._delivered[slot].put(answer)

    def close(self) -> None:
        """Abort the requests that wait, and all later ones."""
        self._closed = True
        for queue in self._delivered:
            queue.put(None)

    def _release_if_full(self) -> None:
        if len(self._pending) == self._running:
            self._batches.put(self._pending)
            self._pending = {}
