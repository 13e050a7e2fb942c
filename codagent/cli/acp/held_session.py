"""A session that an editor holds. Its work is done in a thread of its own, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from codagent.cli.acp.update_stream import UpdateStream
from codagent.errors import UsageError
from codagent.runner.model import open_model
from codagent.runner.spec import Person
from codagent.session import opening
from codagent.session.exchange import follow
from codagent.session.session import Session
from codagent.text import join_names
from codagent.types import EFFORTS, Effort, Episode

T = TypeVar("T")

_STOP_EVERY_S = 0.1


class HeldSession:
    """All methods but `stop` and `do` are called in the session's own thread, by `do`."""

    def __init__(self, options: opening.SessionOptions, stream: UpdateStream, session: Session) -> None:
        self.options, self.stream, self.session = options, stream, session
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"session-{session.id}")
        self._doing = 0  # calls of `do` that have no result so far
        self._stopped = False

    async def do(self, act: Callable[[], T]) -> T | None:
        """Do something in the session's thread. Returns what it returns. None: it was stopped. Raises what it raises."""
        self._doing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._guard, act))
        finally:
            self._doing -= 1
            if not self._doing:
                self._stopped = False

    async def stop(self) -> None:
        """Stop what is done, and wait until it has ended. It is stopped again and again: a turn may just be about to begin."""
        self._stopped = True
        while self._doing and self._stopped:
            self.session.interrupt()
            await asyncio.sleep(_STOP_EVERY_S)
        self._stopped = False  # what comes now is not stopped

    async def end(self) -> None:
        """Stop what is done, and close the session and its model."""
        await self.stop()
        await self.do(self._close)

    def ask(self, text: str) -> Episode:
        """Let the model work on a text, with the person's edits since the last time."""
        self.session.open()
        self.stream.meter.window = self.session.profile.context_tokens
        if conflicts := follow(self.session):
            self.stream.say(f"you and the agent changed the same lines of {join_names(conflicts)}; the agent does not see your edits yet")
        self._check_stopped()
        return self.session.ask(text)

    def choose(self, option: str, value: str) -> None:
        """Take another `model` or `effort` from the next turn on; the effort "" is the server's own. Raises UsageError for what is none."""
        settings = self.options.settings
        if option == "model":
            settings = replace(settings, model=value, asked=settings.asked | {"model"})
        elif option == "effort" and value in ("", *EFFORTS):
            effort: Effort | None = next((known for known in EFFORTS if known == value), None)
            settings = replace(settings, effort=effort)
        else:
            raise UsageError(f"there is no option {option!r} with the value {value!r}")
        self.session.set_model(settings, partial(open_model, settings, self.options.access, say=self.stream.say))
        self.options = replace(self.options, settings=settings)

    def _close(self) -> None:
        self.session.close()
        self.session.runner.close()

    def _check_stopped(self) -> None:
        if self._stopped:
            raise KeyboardInterrupt

    def _guard(self, act: Callable[[], T]) -> T | None:
        try:
            self._check_stopped()
            return act()
        except KeyboardInterrupt:
            return None


def hold(options: opening.SessionOptions, person: Person, wanted: str | None) -> HeldSession:
    """Begin a session, or go on with the one that has the id `wanted`. Its display is an UpdateStream. Raises as `opening.resume` does."""
    stream = options.display
    assert isinstance(stream, UpdateStream)
    if wanted is None:
        return HeldSession(options, stream, opening.begin(options))
    session = opening.resume(options, wanted, person)
    return HeldSession(replace(options, settings=session.runner.settings), stream, session)
