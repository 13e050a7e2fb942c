"""Loops side by side: each in a thread of its own through codagent's own `run_loop`, all that wait for a reply answered as one batch.

What a loop does follows from its start and its replies, and a reply from its prompt and its seed; so the order in which threads run
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread

from codagent.agent.episode import Agent
from codagent.agent.loop import once_each, run_loop
from codagent.types import Loop, Profile
from codagent_train.rollout.batcher import BatchedModel, RequestBatcher
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import Start

PATIENCE_S = 3600.0  # for what loops do between two replies


def roll_out(sampler: Sampler, starts: Sequence[Start], profile: Profile, *, patience_s: float = PATIENCE_S) -> list[Loop]:
    """The loops, whole, in the order of their starts. SandboxError when some have not asked or ended within the patience."""
    table = RequestBatcher(len(starts), patience_s)
    played = [_threaded(partial(_play, table, seat, start, profile), table.leave) for seat, start in enumerate(starts)]
    try:
        while starts and (asked := table.wait()):
            seats = sorted(asked)
            table.serve(dict(zip(seats, sampler.replies([asked[seat] for seat in seats]), strict=True)))
    finally:
        table.close()
    return [loop.result() for loop in played]


def _play(table: RequestBatcher, seat: int, start: Start, profile: Profile) -> Loop:
    agent = Agent(BatchedModel(table, seat, start.seed), profile)
    return run_loop(agent, start.environment, once_each(start.tasks), loop=start.loop, notes_io=start.notes_io)


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
