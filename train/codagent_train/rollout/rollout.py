"""Plays many loops at once. Each loop is codagent's own `run_loop`, which waits while its reply is sampled together with those of others.

A loop depends on its spec and its replies, and a reply depends on its prompt and its seed. The order in which loops run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread

from codagent.agent.episode import Agent
from codagent.agent.loop import once_each, run_loop
from codagent.protocols import OnText, ignore_text
from codagent.types import Loop, Message, Reply, Sampling, Tool
from codagent_train.environments.packs import seed_of
from codagent_train.rollout.batcher import RequestBatcher
from codagent_train.rollout.interleaved import run_interleaved
from codagent_train.rollout.sampler import ReplySource, Sampler, SampleRequest
from codagent_train.rollout.specs import RolloutSpec

PATIENCE_S = 3600.0  # the longest that a loop with a thread of its own may take between two replies
CLOSING_S = 60.0  # how long a rollout that fails waits for the environments to be closed

Ask = Callable[[SampleRequest], Reply]
Rollout = Callable[[Sampler, Sequence[RolloutSpec]], list[Loop]]  # plays loops with a policy, here or elsewhere


def rollout(sampler: ReplySource, specs: Sequence[RolloutSpec], *, patience_s: float = PATIENCE_S) -> list[Loop]:
    """Play the loops and return them in the order of their specs.

    When the environments of all loops are in this process, no threads are started. The error of a loop, such as that of a sandbox that does
    not start, is raised when the other loops have ended. Raises SandboxError when a loop in a thread neither asks for a reply nor ends for
    `patience_s` seconds.
    """
    if all(spec.in_process for spec in specs):
        return run_interleaved(sampler, [partial(_play, spec=spec) for spec in specs])
    return _run_in_threads(sampler, specs, patience_s)


def _run_in_threads(sampler: ReplySource, specs: Sequence[RolloutSpec], patience_s: float) -> list[Loop]:
    batcher = RequestBatcher[SampleRequest, Reply](len(specs), patience_s)
    futures = [
        _run_in_thread(partial(_play, partial(batcher.submit, slot), spec), after=partial(batcher.retire, slot))
        for slot, spec in enumerate(specs)
    ]
    try:
        while requests := batcher.next_batch():
            slots = sorted(requests)
            batcher.deliver(dict(zip(slots, sampler.sample_replies([requests[slot] for slot in slots]), strict=True)))
    finally:
        batcher.close()
        wait(futures, CLOSING_S)  # threads are daemons: a process that ended now would leave their sandboxes behind
    return [loop.result() for loop in futures]


def _play(ask: Ask, spec: RolloutSpec) -> Loop:
    agent = Agent(_AskedModel(ask, spec.seed), spec.profile)
    with spec.environment() as environment:
        return run_loop(agent, environment, once_each(spec.tasks), loop=spec.loop, notes_io=spec.notes_io)


@dataclass(slots=True)
class _AskedModel:
    """The Model of one loop. Each reply has its own seed, which derives from the loop's seed and the reply's number in the loop."""

    ask: Ask
    seed: int
    count: int = 0
    name: str = "policy"

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del on_text
        seed = seed_of("train", self.seed, self.count)
        self.count += 1
        return self.ask(SampleRequest(messages, tools, replace(sampling, seed=seed)))

    def close(self) -> None:
        pass


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
