"""A session that an editor holds is stopped and closed when it says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from codagent.cli.acp.held_session import HeldSession


class Work:
    """A session that takes no work but notes what happens to it."""

    def __init__(self) -> None:
        self.id, self.done = "1", list[str]()
        self.runner = SimpleNamespace(close=lambda: self.done.append("runner closed"))

    def close(self) -> None:
        self.done.append("closed")

    def interrupt(self) -> None:
        self.done.append("interrupted")


def hold(work: Any) -> HeldSession:
    nothing: Any = None
    return HeldSession(nothing, nothing, work)


def test_an_idle_session_is_closed() -> None:
    work = Work()
    asyncio.run(hold(work).end())
    assert work.done == ["closed", "runner closed"]


def test_stopping_nothing_does_not_stop_what_comes_next() -> None:
    async def talk() -> list[str | None]:
        held = hold(Work())
        await held.stop()
        return [await held.do(lambda: "one"), await held.do(lambda: "two")]

    assert asyncio.run(talk()) == ["one", "two"]
