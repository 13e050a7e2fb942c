"""Slow preparation (an import, loading a model) that begins at once. The caller waits only where it needs the result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Calls `make` in a thread that does not keep the process alive."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._made: list[T] = []
        self._raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(make,), daemon=True)
        self._thread.start()

    def get(self) -> T:
        """Wait for the result of `make` and return it. Raises what `make` raised."""
        self._thread.join()
        if self._raised:
            raise self._raised[0]
        return self._made[0]

    def _run(self, make: Callable[[], T]) -> None:
        try:
            self._made.append(make())
        except BaseException as error:  # noqa: BLE001 -- raised again in `get`
            self._raised.append(error)
