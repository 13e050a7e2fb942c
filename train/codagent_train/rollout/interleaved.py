"""Runs many loops in one thread. A loop that asks for a reply is put aside until the reply is there (greenlets).

A switch between two loops takes about a microsecond, where one between threads takes up to a hundred. Only loops that wait for nothing but
replies can run so: while one of them waits for something else, all wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from codagent.errors import ModelError
from codagent.types import Loop, Reply
from codagent_train.rollout.sampler import ReplySource, SampleRequest

if TYPE_CHECKING:
    from greenlet import greenlet

Play = Callable[[Callable[[SampleRequest], Reply]], Loop]  # plays a loop; its argument asks for a reply


def run_interleaved(sampler: ReplySource, plays: Sequence[Play]) -> list[Loop]:
    """Run the loops and return them in their order.

    The error of a loop is raised when the other loops have ended. When sampling fails, or a person interrupts a loop, the others are ended
    before that error is raised.
    """
    if not plays:
        return []
    running = [_RunningLoop(play) for play in plays]
    try:
        with sampler.open_stream(len(running)) as stream:
            requests = {slot: request for slot, loop in enumerate(running) if (request := loop.start())}
            while not all(loop.has_ended for loop in running):
                for slot, request in requests.items():
                    stream.submit(slot, request)
                requests = {slot: request for slot, reply in stream.step().items() if (request := running[slot].resume(reply))}
    finally:
        for loop in running:
            loop.abort()
    return [loop.result() for loop in running]


class _RunningLoop:
    """One loop, which runs until it asks for a reply."""

    def __init__(self, play: Play) -> None:
        from greenlet import getcurrent, greenlet

        self._play = play
        self._loop: Loop | None = None
        self._error: BaseException | None = None
        self._hub: greenlet = getcurrent()
        self._own: greenlet = greenlet(self._run)

    @property
    def has_ended(self) -> bool:
        """Whether the loop has come to its end."""
        return bool(self._own.dead)

    def start(self) -> SampleRequest | None:
        """Run the loop up to its first request; None: it ended without one."""
        return self._switched(self._own.switch())

    def resume(self, reply: Reply) -> SampleRequest | None:
        """Run the loop on to its next request; None: it has ended."""
        return self._switched(self._own.switch(reply))

    def abort(self) -> None:
        """End the loop if it still waits for a reply, so that it closes its environment."""
        if self._own and not self._own.dead:
            self._own.throw(ModelError("the rollout was aborted"))

    def result(self) -> Loop:
        """Return the loop. Raises its error when it ended with one."""
        if self._error:
            raise self._error
        assert self._loop is not None
        return self._loop

    def _run(self) -> None:
        try:
            self._loop = self._play(self._hub.switch)
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            self._error = error

    def _switched(self, request: SampleRequest | None) -> SampleRequest | None:
        """Return the request. Raises KeyboardInterrupt when a person interrupted the loop, which is meant for all."""
        if isinstance(self._error, KeyboardInterrupt) or (self._loop and self._loop.end == "interrupted"):
            raise KeyboardInterrupt
        return request
