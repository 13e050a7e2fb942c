"""Plays loops on a Ray cluster. Each worker plays a share of them; the replies that its loops wait for are sampled in this process.

So environments and sandboxes run elsewhere and the weights stay here, whatever the engine. A repository whose tasks are done again has to
be on all machines, under the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from codagent.errors import SandboxError
from codagent.fleet.ray_cluster import count_slots, join_cluster
from codagent.text import count
from codagent.types import Loop, Reply
from codagent_train.rollout.batcher import RequestBatcher
from codagent_train.rollout.rollout import PATIENCE_S, Rollout, rollout
from codagent_train.rollout.sampler import Sampler, SampleRequest
from codagent_train.rollout.specs import RolloutSpec

_ROUNDS = 3  # so often loops are played when their workers are lost
_AskAll = Callable[[list[SampleRequest]], list[Reply]]


@contextmanager
def open_rollout(on: str | None) -> Iterator[Rollout]:
    """Give what plays loops: on the cluster that `on` names, as `join_cluster` has it; None: in this process. Raises as `join_cluster`."""
    if on is None:
        yield rollout
        return
    with join_cluster(on) as ray:
        yield RayRollout(ray)


class RayRollout:
    """Plays loops on the workers of a cluster."""

    def __init__(self, ray: Any) -> None:
        """`ray` is the module, connected to a cluster."""
        self._ray = ray
        self._batcher = ray.remote(num_cpus=0)(RequestBatcher)
        # workers wait for each other's requests, so none may wait for a free processor
        self._play = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy="SPREAD")(_play_share)

    def __call__(self, sampler: Sampler, specs: Sequence[RolloutSpec]) -> list[Loop]:
        """Play the loops and return them in the order of their specs. Loops whose worker is lost are played again, with the same seeds.

        Raises what `rollout` raises, and SandboxError when workers are lost again and again.
        """
        played: dict[int, Loop] = {}
        for _ in range(_ROUNDS):
            left = [number for number in range(len(specs)) if number not in played]
            if not left:
                break
            workers = min(count_slots(self._ray), len(left))
            shares = [left[first::workers] for first in range(workers)]
            for share, loops in self._play_shares(sampler, [[specs[number] for number in share] for share in shares]).items():
                played |= zip(shares[share], loops, strict=True)
        if len(played) < len(specs):
            raise SandboxError(f"{count(len(specs) - len(played), 'loop')} lost with Ray workers, {_ROUNDS} times in a row")
        return [played[number] for number in range(len(specs))]

    def _play_shares(self, sampler: Sampler, shares: Sequence[Sequence[RolloutSpec]]) -> dict[int, list[Loop]]:
        """Play each share on a worker, and return the loops of those whose worker was not lost."""
        ray = self._ray
        batcher = self._batcher.options(max_concurrency=len(shares) + 3).remote(len(shares), PATIENCE_S)
        playing = {self._play.remote(batcher, number, share): number for number, share in enumerate(shares)}
        played: dict[int, list[Loop]] = {}
        error: Exception | None = None
        batch = batcher.next_batch.remote()
        try:
            while True:
                (ready,), _ = ray.wait([batch, *playing], num_returns=1)
                if ready != batch:
                    number = playing.pop(ready)
                    try:
                        played[number] = ray.get(ready)
                    except ray.exceptions.RayTaskError as failure:  # an error of a loop
                        error = error or (failure.cause if isinstance(failure.cause, Exception) else failure)
                    except ray.exceptions.RayError:
                        pass  # the worker is lost
                    batcher.retire.remote(number)
                elif requests := ray.get(batch):
                    batcher.deliver.remote(_sample_shares(sampler, requests))
                    batch = batcher.next_batch.remote()
                else:
                    break
        finally:
            for task in playing:
                ray.cancel(task, force=True)
            ray.kill(batcher)
        if error:
            raise error
        return played


def _sample_shares(sampler: Sampler, requests: dict[int, list[SampleRequest]]) -> dict[int, list[Reply]]:
    """Sample the replies to the requests of all workers in one batch."""
    replies = iter(sampler.sample_replies([request for share in requests.values() for request in share]))
    return {number: [next(replies) for _ in share] for number, share in requests.items()}


def _play_share(batcher: Any, number: int, specs: Sequence[RolloutSpec]) -> list[Loop]:
    """Play loops on this worker."""
    import ray

    def ask_all(requests: list[SampleRequest]) -> list[Reply]:
        replies: list[Reply] = ray.get(batcher.submit.remote(number, requests))
        return replies

    return rollout(_FarSampler(ask_all), specs)


@dataclass(frozen=True, slots=True)
class _FarSampler:
    """A ReplySource whose replies are sampled by the process that sent the loops."""

    ask_all: _AskAll

    def sample_replies(self, requests: Sequence[SampleRequest]) -> list[Reply]:
        return self.ask_all(list(requests))

    @contextmanager
    def open_stream(self, slots: int) -> Iterator[_FarStream]:  # noqa: ARG002 - all requests go in one batch
        yield _FarStream(self.ask_all)


@dataclass(slots=True)
class _FarStream:
    ask_all: _AskAll
    pending: dict[int, SampleRequest] = field(default_factory=dict)

    def submit(self, slot: int, request: SampleRequest) -> None:
        self.pending[slot] = request

    def step(self) -> dict[int, Reply]:
        requests, self.pending = self.pending, {}
        return dict(zip(requests, self.ask_all(list(requests.values())), strict=True))
