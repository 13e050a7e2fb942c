"""Loops side by side from one start: best-of-N for a person, a group for a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from codagent.runner.result import exit_code
from codagent.runner.runner import Desk, Display
from codagent.runner.spec import Job, Result

Member = tuple[Desk, Job, Display]


def run_group(members: Sequence[Member], *, at_once: int, all_: bool) -> list[Result]:
    """The results of those that began, in the order of their end. Unless `all_`, the first that passes ends the others."""
    results: list[Result] = []
    stopped = False
    with ThreadPoolExecutor(at_once, thread_name_prefix="loop") as pool:
        futures = [pool.submit(desk.do, job, shown=shown) for desk, job, shown in members]
        try:
            for future in as_completed(futures):
                if future.cancelled() or (stopped and future.exception()):  # one that was stopped before it had begun
                    continue
                results.append(future.result())
                if exit_code(results[-1].loop) == 0 and not all_:
                    stopped = True
                    _stop(members, futures)
        except BaseException:
            _stop(members, futures)
            raise
    return results


def _stop(members: Sequence[Member], futures: Sequence[Future[Result]]) -> None:
    for future in futures:
        future.cancel()
    for desk, _, _ in members:
        desk.stop()
