"""How many sandboxes of a loop are started before they are needed, and that none of them is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import cast

import pytest

from codagent.protocols import GateSandbox
from codagent.sandbox.pool import SandboxPool


class Room:
    """A sandbox that can only be closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("ahead", "opened", "started"), [(0, 0, 1), (0, 2, 2), (1, 0, 1), (1, 1, 2), (1, 3, 4), (3, 1, 4), (3, 5, 8)])
def test_so_many_are_started_and_all_are_closed(ahead: int, opened: int, started: int) -> None:
    rooms: list[Room] = []

    def start(_: str) -> GateSandbox:
        rooms.append(Room())
        return cast(GateSandbox, rooms[-1])

    with ThreadPoolExecutor() as executor:
        with closing(SandboxPool(executor, start, "loop", ahead=ahead)) as pool:
            given = [pool.open() for _ in range(opened)]
        assert len({id(room) for room in given}) == opened
        assert len(rooms) == started
        assert [room.closed for room in rooms if room not in given] == [True] * (started - opened)
        assert not any(cast(Room, room).closed for room in given)


def test_a_verdict_takes_what_is_ready_and_starts_no_more_than_it_needs() -> None:
    started: list[str] = []

    def start(loop: str) -> GateSandbox:
        started.append(loop)
        return cast(GateSandbox, Room())

    with ThreadPoolExecutor() as executor, closing(SandboxPool(executor, start, "loop", ahead=2)) as pool:
        pool.open()
        pool.open_for_verdict()
        pool.open_for_verdict()
        executor.submit(int).result()
        assert len(started) == 3
        pool.open_for_verdict()
        assert len(started) == 4
        pool.open()
    assert len(started) == 7
