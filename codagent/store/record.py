"""A loop as JSON Lines, token by token: appended as it happens, loaded strictly, repaired where a crash tore it.

One line each for the loop, an episode's start, a reply, what came back for it, an episode's end, the loop's end; and one where a loop that
was broken off went on. Prompt ids are kept as what differs from the request before, so that a record grows by what was said and not by
what was sent.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from codagent.errors import RecordError
from codagent.files import MAX_RECORD_BYTES, is_plain, make_folder, open_plain, read_plain
from codagent.store.codec import decode, encode
from codagent.types import Episode, Loop, Message, Observation, Reply, Step, Stop, Task, Tokens

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class _Replied:
    """A reply on disk: its prompt ids without the first `shared`, which the request before and its reply already had."""

    reply: Reply
    shared: int
    context: tuple[Message, ...] | None


@dataclass(frozen=True, slots=True)
class _Observed:
    observation: Observation
    seconds: float


class Record:
    """Appends a loop to a file, as an observer of its episodes. A line reaches the system at once, the disk at an episode's end."""

    def __init__(self, path: Path, loop: Loop) -> None:
        """Begins the file at `path`, or goes on in the one that `loop` was loaded from."""
        make_folder(path.parent)
        self._seen: tuple[int, ...] = ()
        resumed = is_plain(path)
        if resumed:
            _drop_torn_line(path)
        flags = os.O_WRONLY | (os.O_APPEND if resumed else os.O_CREAT | os.O_EXCL)
        self._file = os.fdopen(open_plain(path, flags), "a", encoding="utf-8")
        if resumed:
            self._write("resumed", {})
        else:
            self._write("loop", {"schema": SCHEMA, **encode(loop)})

    def on_episode_start(self, episode: Episode) -> None:
        self._seen = ()
        self._write("episode", encode(episode))

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        shared = 0
        if reply.tokens:
            ids = reply.tokens.prompt_ids
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ids, self._seen, strict=False)))
            self._seen = ids + reply.tokens.completion_ids
            reply = replace(reply, tokens=replace(reply.tokens, prompt_ids=ids[shared:]))
        self._write("reply", encode(_Replied(reply, shared, context)))

    def on_step(self, step: Step) -> None:
        self._write("observation", encode(_Observed(step.observation, step.seconds)))

    def on_episode_end(self, episode: Episode) -> None:
        self._write("ended", {name: encode(getattr(episode, name)) for name in ("end", "cause", "outcome", "commit", "notes_after")})
        os.fsync(self._file.fileno())

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:
        """Write nothing: what comes next follows from the loop."""

    def finish(self, end: str) -> None:
        """The loop is over; why, in a word."""
        self._write("end", {"end": end})
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _write(self, kind: str, value: object) -> None:
        # surrogates (bytes that were no UTF-8) survive as \udcXX escapes
        self._file.write(json.dumps({kind: value}, separators=(",", ":")) + "\n")
        self._file.flush()


def load(path: Path) -> Loop:
    """The loop that a record holds. A torn last line is dropped, an unanswered call closed as interrupted; RecordError for other damage."""
    try:
        raw = read_plain(path, max_bytes=MAX_RECORD_BYTES)
    except OSError as error:
        raise RecordError(f"no record at {path} ({(error.strerror or '').lower()}); `codagent list` shows those that there are") from None
    lines = raw.split(b"\n")[:-1]  # a line without its newline was torn
    if not lines:
        raise RecordError(f"{path} holds no whole line; the run ended before it began")
    parsed = [_line(path, number, line) for number, line in enumerate(lines, 1)]
    kind, head = parsed[0]
    schema = head.pop("schema", None) if kind == "loop" and isinstance(head, dict) else None
    if schema != SCHEMA:
        raise RecordError(f"{path} has schema {schema!r}, and this codagent reads {SCHEMA}; use the version that wrote it")
    try:
        assembly = _Assembly(decode(Loop, head))
        for kind, value in parsed[1:]:
            assembly.add(kind, value)
        return _checked(assembly.whole())
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RecordError(f"{path} is damaged: {error}") from None


def _checked(loop: Loop) -> Loop:
    """Raise ValueError for a commit that git could take for an option."""
    job = loop.settings.get("job", {})
    for commit in (loop.start_commit, job.get("start_commit"), job.get("begin"), *(episode.commit for episode in loop.episodes)):
        if commit and not re.fullmatch(r"\w+", commit):
            raise ValueError(f"{commit[:80]!r} is no commit")
    return loop


def _line(path: Path, number: int, line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        ((kind, value),) = json.loads(line).items()
    except (ValueError, AttributeError, RecursionError):
        raise RecordError(
            f"{path}, line {number}, is damaged; the lines before it are whole and can be kept by cutting the file there"
        ) from None
    return kind, value


class _Assembly:
    """A loop put together from its lines."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._episodes: list[Episode] = []
        self._pending: _Replied | None = None  # a reply that has no answer so far
        self._seen: tuple[int, ...] = ()

    def add(self, kind: str, value: dict[str, Any]) -> None:
        """ValueError for a line that has no place here."""
        match kind:
            case "episode":
                self._episodes.append(decode(Episode, value))
                self._seen = ()
            case "reply":
                self._replied(decode(_Replied, value))
            case "observation" if self._pending:
                self._observed(decode(_Observed, value))
            case "ended":
                self._episodes[-1] = _end(self._closed(), value)
                self._pending = None
            case "end":
                self._loop = replace(self._loop, end=value["end"])
            case "resumed":
                self._resumed()
            case _:
                raise ValueError(f"a line of kind {kind!r} has no place here")

    def whole(self) -> Loop:
        if self._episodes and self._episodes[-1].end is None:
            self._episodes[-1] = replace(self._closed(), end="interrupted")
        return replace(self._loop, episodes=tuple(self._episodes))

    def _replied(self, replied: _Replied) -> None:
        tokens = replied.reply.tokens
        if tokens:
            tokens = Tokens(self._seen[: replied.shared] + tokens.prompt_ids, tokens.completion_ids, tokens.logprobs)
            self._seen = tokens.prompt_ids + tokens.completion_ids
        self._pending = replace(replied, reply=replace(replied.reply, tokens=tokens))

    def _observed(self, observed: _Observed) -> None:
        assert self._pending
        step = Step(self._pending.reply, observed.observation, observed.seconds, self._pending.context)
        self._episodes[-1] = _with(self._episodes[-1], step)
        self._pending = None

    def _closed(self) -> Episode:
        """The latest episode; a reply that was not answered counts as a step that was interrupted."""
        if self._pending is None:
            return self._episodes[-1]
        reply = self._pending.reply
        answers = tuple(Message("tool", "error: interrupted", tool_call_id=call.id) for call in reply.message.tool_calls)
        return _with(self._episodes[-1], Step(reply, Observation(answers, "interrupted"), 0.0, self._pending.context))

    def _resumed(self) -> None:
        """The latest episode goes on, if it was broken off; so does a step of it that has no answer."""
        self._loop, self._seen = replace(self._loop, end=None), ()
        if not self._episodes or not self._episodes[-1].resumable:
            return
        last = self._closed()
        self._pending = None
        if last.steps and last.steps[-1].observation.end == "interrupted":
            self._pending = _Replied(last.steps[-1].reply, 0, last.steps[-1].context)
            last = replace(last, steps=last.steps[:-1])
        self._episodes[-1] = replace(last, end=None, cause="", outcome=None, commit=None, notes_after=None)


def _with(episode: Episode, step: Step) -> Episode:
    return replace(episode, steps=(*episode.steps, step))


def _end(episode: Episode, value: Mapping[str, Any]) -> Episode:
    return decode(Episode, {**encode(replace(episode, steps=())), **value}, steps=episode.steps)


def _drop_torn_line(path: Path) -> None:
    with os.fdopen(open_plain(path, os.O_RDWR), "rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
