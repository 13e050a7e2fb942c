"""What has happened in a session: its loop as the record tells it, and the record that it is written to."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from codagent.repository import git
from codagent.session.conversation import is_act
from codagent.settings.settings import Settings
from codagent.store.record import Record
from codagent.types import EFFORTS, Episode, Loop, Task

CLEARED = "clear"  # the id of the task that stands for a cleared conversation
CHOSEN = "choose"  # the id of the task that stands for the choice of another model


class History:
    """The episodes of a session. The record is begun with the first of them, so a session without a turn leaves none."""

    def __init__(self, root: Path, path: Path, loop: Loop, *, resumed: bool) -> None:
        """`path` is the record's file. A session that is resumed goes on in its record at once."""
        self._root, self._path = root, path
        self.loop = loop
        self._record = Record(path, loop) if resumed else None
        self._unfinished = False  # whether the last episode on record has no end

    @property
    def record(self) -> Record:
        """The record, begun now if there is none."""
        if self._record is None:
            self._record = Record(self._path, self.loop)
        return self._record

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return self.loop.episodes

    @property
    def turns(self) -> tuple[Episode, ...]:
        """The turns of the conversation, without what the person did beside it."""
        return tuple(episode for episode in self.loop.attempts if not is_act(episode))

    @property
    def commit(self) -> str:
        """The commit of the work so far; what the session began with when nothing was changed."""
        commits = [episode.commit for episode in self.episodes if episode.commit]
        return commits[-1] if commits else self.loop.start_commit

    @property
    def accepted(self) -> str:
        """The commit of the person's files, without the work that is not accepted: as the session began, or as the cause of an act says."""
        told = [episode.cause for episode in self.episodes if is_act(episode) and re.fullmatch("[0-9a-f]{40,64}", episode.cause)]
        return told[-1] if told else self.loop.start_commit

    def change(self) -> tuple[str, str] | None:
        """Return the commits before and after the work that is not accepted so far. None: there is none."""
        before, after = self.accepted, self.commit
        return None if git.tree_of(self._root, before) == git.tree_of(self._root, after) else (before, after)

    def begin(self, kind: str, task: Task) -> Episode:
        """Make the next episode, which has no prompt so far."""
        return Episode("notes" if kind == "notes" else "solve", len(self.episodes), task, "", ())

    def add(self, episode: Episode) -> None:
        """Write the end of an episode whose start is on record. A signal that comes meanwhile is heard afterwards."""
        with _hold_signals():
            self.record.on_episode_end(episode)
            self._unfinished = False
            self.loop = replace(self.loop, episodes=(*self.episodes, episode))

    def clear(self) -> None:
        """Write that the conversation is forgotten."""
        self._note(self.begin("notes", Task(CLEARED, "")), notes_after="")

    def choose(self, settings: Settings) -> None:
        """Write that the model of these settings is asked from here on."""
        self._note(self.begin("solve", Task(CHOSEN, "")), cause=json.dumps({"model": settings.model, "effort": settings.effort}))

    def _note(self, episode: Episode, **facts: Any) -> None:
        """Write an episode in which nothing was asked."""
        self.record.on_episode_start(episode)
        self.add(replace(episode, end="finished", **facts))

    def take_unfinished(self) -> Episode | None:
        """Take the last episode of a resumed session away if it was broken off; its end is to be written anew. None: it was not."""
        last = self.episodes[-1] if self.episodes else None
        if last is None or not last.resumable:
            return None
        self._unfinished = True
        self.loop = replace(self.loop, episodes=self.episodes[:-1], end=None)
        return last

    def close(self) -> None:
        """End the record, if there is one. An episode that could not be taken up can be another time."""
        record, self._record = self._record, None
        if record is not None:
            if not self._unfinished:
                record.finish("finished")
            record.close()


@contextmanager
def _hold_signals() -> Iterator[None]:
    """Let the signals that end what is done wait until the end of the `with` block. Only the main thread hears signals."""
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in held:
            signal.raise_signal(late)


def find_choice(loop: Loop) -> dict[str, Any]:
    """Return the model and the effort that a session chose last, as fields of its settings. {}: those that it began with."""
    causes = [episode.cause for episode in loop.attempts if episode.task.id == CHOSEN and is_act(episode)]
    with suppress(ValueError):
        choice = json.loads(causes[-1]) if causes else {}
        if isinstance(choice, dict) and isinstance(choice.get("model"), str) and choice.get("effort") in (None, *EFFORTS):
            return {"model": choice["model"], "effort": choice["effort"]}
    return {}


def copy(loop: Loop, path: Path) -> None:
    """Write the record of a loop with all its episodes."""
    record = Record(path, replace(loop, episodes=(), end=None))
    for episode in loop.episodes:
        record.on_episode_start(replace(episode, steps=(), end=None, cause="", outcome=None, commit=None, notes_after=None))
        for step in episode.steps:
            record.on_reply(step.reply, step.context)
            record.on_step(step)
        record.on_episode_end(episode)
    record.close()
