"""An executor whose loops run on a Ray cluster: each loop is one Ray task, which yields pieces until it ends.

Ray is imported here only when an executor is opened. The machines of the cluster need codagent, the container engine, and the keys of
litellm's providers in their environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

from codagent.fleet.parcel import Began, Parcel, Piece
from codagent.fleet.ray_cluster import count_slots, join_cluster
from codagent.fleet.remote_runner import NoWorkerLeft, RemoteRunner, WorkerLost
from codagent.fleet.worker import play_loop
from codagent.runner.executor import MadeRunners, RunnerOptions


class RayExecutor:
    """An Executor. `close` leaves the cluster; one that was started here ends with it."""

    def __init__(self, on: str) -> None:
        """Connect to the cluster that `on` names. Raises as `join_cluster` does."""
        self._joined = ExitStack()
        self._ray: Any = self._joined.enter_context(join_cluster(on))
        self._stop_flags = self._ray.remote(num_cpus=0, max_concurrency=1_000_000)(_StopFlags).remote()
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_play)
        self._packed: dict[int, Any] = {}  # references to packed commits, by hash: the loops of a repository share them
        self._made = MadeRunners[RemoteRunner]()

    @property
    def slots(self) -> int:
        """How many loops the cluster runs at a time."""
        return count_slots(self._ray)

    def make_runner(self, options: RunnerOptions) -> RemoteRunner:
        return self._made.add(RemoteRunner(options, self._run_elsewhere, self._stop_flags.set.remote))

    def stop(self) -> None:
        self._made.stop()

    def close(self) -> None:
        self._joined.close()

    def _run_elsewhere(self, parcel: Parcel, packed: bytes, unfit: frozenset[str]) -> Iterator[Piece]:
        """Run a loop as one Ray task, on none of the machines `unfit`, and yield its pieces. Raises WorkerLost."""
        from ray.exceptions import RayError, RayTaskError

        task = self._task.options(scheduling_strategy=self._choose_node(unfit)) if unfit else self._task
        pieces = task.remote(parcel, self._put(packed), self._stop_flags)
        try:
            for reference in pieces:
                yield self._ray.get(reference)
        except RayTaskError as error:  # a bug in codagent
            raise error.cause if isinstance(getattr(error, "cause", None), Exception) else error from None
        except RayError as error:
            raise WorkerLost(type(error).__name__) from error

    def _choose_node(self, unfit: frozenset[str]) -> object:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        alive = [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        left = [node for node in alive if node not in unfit]
        if not left:
            raise NoWorkerLeft
        return NodeAffinitySchedulingStrategy(node_id=left[0], soft=True)

    def _put(self, packed: bytes) -> Any:
        key = hash(packed)
        if key not in self._packed:
            if len(self._packed) > 64:
                self._packed.clear()
            self._packed[key] = self._ray.put(packed)
        return self._packed[key]


class _StopFlags:
    """An actor: tells workers which loops are to be interrupted."""

    def __init__(self) -> None:
        import asyncio

        self._stopped: set[str] = set()
        self._changed = asyncio.Condition()

    async def set(self, loop_id: str) -> None:
        async with self._changed:
            self._stopped.add(loop_id)
            self._changed.notify_all()

    async def wait(self, loop_id: str) -> None:
        """Return when the loop is to be interrupted."""
        async with self._changed:
            await self._changed.wait_for(lambda: loop_id in self._stopped)


def _play(parcel: Parcel, packed: bytes, stop_flags: Any) -> Iterator[Piece]:
    """Run a loop on this worker."""
    import ray

    stopped = stop_flags.wait.remote(parcel.spec.loop_id)
    yield Began(ray.get_runtime_context().get_node_id())
    yield from play_loop(parcel, packed, lambda: bool(ray.wait([stopped], timeout=0)[0]))
    with suppress(ray.exceptions.RayError):
        ray.cancel(stopped)
