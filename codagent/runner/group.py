"""Loops side by side from one start: best-of-N for a person, a group for a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from codagent.runner.display import Display
from codagent.runner.result import exit_code
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec, Result

Member = tuple[Runner, LoopSpec, Display]


def run_group(members: Sequence[Member], *, at_once: int, all_: bool) -> list[Result]:
    """Run loops side by side, `at_once` at a time. Unless `all_`, the first that passes ends the others.

    Returns the results of the loops that began, in the order of their end.
    """
    results: list[Result] = []
    stopped = False
    with ThreadPoolExecutor(at_once, thread_name_prefix="loop") as pool:
        futures = [pool.submit(runner.run, spec, display=display) for runner, spec, display in members]
        try:
            for future in as_completed(futures):
                if future.cancelled() or (stopped and future.exception()):  # stopped before it began
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
    for runner, _, _ in members:
        runner.stop()
