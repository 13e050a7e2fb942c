"""Plays many loops at once. Each loop runs codagent's own `run_loop` in a thread; all pending requests are sampled as one batch.

A loop depends on its spec and its replies, and a reply depends on its prompt and its seed. The order in which the threads run changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from threading import Thread

from codagent.agent.episode import Agent
from codagent.agent.loop import once_each, run_loop
from codagent.types import Loop
from codagent_train.rollout.batcher import BatchedModel, RequestBatcher
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec

PATIENCE_S = 3600.0  # the longest that a loop may take between two replies
CLOSING_S = 60.0  # how long a rollout that fails waits for the environments to be closed


def rollout(sampler: Sampler, specs: Sequence[RolloutSpec], *, patience_s: float = PATIENCE_S) -> list[Loop]:
    """Play the loops and return them in the order of their specs.

    The error of a loop, such as that of a sandbox that does not start, is raised when the other loops have ended. Raises SandboxError
    when a loop neither asks for a reply nor ends for `patience_s` seconds.
    """
    batcher = RequestBatcher(len(specs), patience_s)
    futures = [_run_in_thread(partial(_play, batcher, slot, spec), batcher.retire) for slot, spec in enumerate(specs)]
    try:
        while specs and (requests := batcher.next_batch()):
            slots = sorted(requests)
            batcher.deliver(dict(zip(slots, sampler.sample_replies([requests[slot] for slot in slots]), strict=True)))
    finally:
        batcher.close()
        wait(futures, CLOSING_S)  # threads are daemons: a process that ended now would leave their sandboxes behind
    return [loop.result() for loop in futures]


def _play(batcher: RequestBatcher, slot: int, spec: RolloutSpec) -> Loop:
    agent = Agent(BatchedModel(batcher, slot, spec.seed), spec.profile)
    with spec.environment() as environment:
        return run_loop(agent, environment, once_each(spec.tasks), loop=spec.loop, notes_io=spec.notes_io)


def _run_in_thread(work: Callable[[], Loop], after: Callable[[], None]) -> Future[Loop]:
    """Run `work` in a daemon thread, which does not keep the process from ending when the loop hangs."""
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
