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
from codagent_train.rollout.specs import RolloutSpec

PATIENCE_S = 3600.0  # for what loops do between two replies


def rollout(sampler: Sampler, specs: Sequence[RolloutSpec], profile: Profile, *, patience_s: float = PATIENCE_S) -> list[Loop]:
    """The loops, whole, in the order of their starts. SandboxError when some have not asked or ended within the patience."""
    batcher = RequestBatcher(len(specs), patience_s)
    futures = [_run_in_thread(partial(_play, batcher, slot, spec, profile), batcher.retire) for slot, spec in enumerate(specs)]
    try:
        while specs and (requests := batcher.next_batch()):
            slots = sorted(requests)
            batcher.deliver(dict(zip(slots, sampler.sample_replies([requests[slot] for slot in slots]), strict=True)))
    finally:
        batcher.close()
    return [loop.result() for loop in futures]


def _play(batcher: RequestBatcher, slot: int, spec: RolloutSpec, profile: Profile) -> Loop:
    agent = Agent(BatchedModel(batcher, slot, spec.seed), profile)
    return run_loop(agent, spec.environment, once_each(spec.tasks), loop=spec.loop, notes_io=spec.notes_io)


def _run_in_thread(work: Callable[[], Loop], after: Callable[[], None]) -> Future[Loop]:
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
