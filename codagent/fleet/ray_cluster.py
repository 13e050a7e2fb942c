"""The Ray cluster that work is sent to. Ray is imported here only when it is joined."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from codagent.errors import UsageError

_ADDRESS = re.compile(r"ray(?:://([\w.-]+:\d{1,5}))?")


@contextmanager
def join_cluster(on: str) -> Iterator[Any]:
    """Connect to the cluster at `ray://HOST:PORT`, of which this machine is a node, and give the module `ray`. At the end, leave it.

    `ray` alone: the cluster that RAY_ADDRESS names, or one that is started on this machine and ends with the block.
    Raises UsageError when Ray is not installed, when `on` is no such address, or when no cluster answers there.
    """
    found = _ADDRESS.fullmatch(on)
    if not found:
        raise UsageError(f"--on {on} is not known; it is ray, or ray://HOST:PORT")
    try:
        import ray
    except ImportError:
        raise UsageError("--on ray needs Ray; install it with pip install 'codagent[fleet]'") from None
    stdout, sys.stdout = sys.stdout, cast(TextIO, _WithoutRay(sys.stdout))
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        try:
            ray.init(address=found[1], include_dashboard=None if found[1] else False, ignore_reinit_error=True, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Ray cluster answers at {on}: {str(error).splitlines()[0]}") from None
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        sys.stdout = stdout


def count_slots(ray: Any) -> int:
    """Return how many tasks of one processor the cluster runs at a time; at least 1."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class _WithoutRay:
    """Standard output without what Ray's own threads print there when a machine is lost: it is for results."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if threading.current_thread().name.startswith("ray_") else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
