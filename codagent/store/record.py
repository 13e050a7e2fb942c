"""The record of a loop: JSON Lines with every token, appended as the loop goes on, checked and repaired when they are loaded.

There is one line for the loop, for the start of an episode, for a reply, for what came back for it, for the end of an episode, and for the
end of the loop; and one line where an interrupted loop goes on. Prompts and their ids are kept as the difference from the request before,
so a record grows by what was said and not by what was sent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

from codagent.errors import RecordError
from codagent.files import is_plain, make_folder
from codagent.store import jsonl
from codagent.store.codec import decode, encode
from codagent.types import Episode, Loop, Message, Observation, Reply, Step, Tokens

SCHEMA = 2
_WRONG = (TypeError, ValueError, LookupError, AttributeError, RecursionError)  # what a value of another kind raises


@dataclass(frozen=True, slots=True)
class _ReplyLine:
    """A reply on disk: its prompt ids without the first `shared`, which the request before and its reply already had."""

    reply: Reply
    shared: int
    context: tuple[Message, ...] | None


@dataclass(frozen=True, slots=True)
class _ObservationLine:
    observation: Observation
    seconds: float


@dataclass(frozen=True, slots=True)
class _EndLine:
    """The loop's last line: why it is over, in a word."""

    end: str


class Record:
    """Appends a loop to a file, as an observer of its episodes. A line reaches the system at once, the disk at an episode's end."""

    def __init__(self, path: Path, loop: Loop) -> None:
        """Begin the file at `path`, or go on in the file that `loop` was loaded from."""
        make_folder(path.parent)
        self._seen: tuple[int, ...] = ()
        self._messages: tuple[Message, ...] = ()  # the latest request, with what followed it
        resumed = is_plain(path)
        self._path, self._begun = path, resumed  # whether an episode has begun
        self._checksum = jsonl.drop_torn_line(path) if resumed else 0
        self._file = jsonl.open_to_append(path, new=not resumed)
        if resumed:
            self._write("resumed", {})
        else:
            self._write("loop", {"schema": SCHEMA, **encode(loop)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and remove it when no episode has begun."""
        self.close()
        if not self._begun:
            self._path.unlink(missing_ok=True)

    def on_episode_start(self, episode: Episode) -> None:
        self._seen, self._begun = (), True
        shared = _shared_length(episode.prompt, self._messages)
        self._messages = episode.prompt
        self._write("episode", {**encode(replace(episode, prompt=episode.prompt[shared:])), **({"shared": shared} if shared else {})})

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        shared = 0
        self._messages = (*(self._messages if context is None else context), reply.message)
        if reply.tokens:
            ids = reply.tokens.prompt_ids
            shared = _shared_length(ids, self._seen)
            self._seen = ids + reply.tokens.completion_ids
            reply = replace(reply, tokens=replace(reply.tokens, prompt_ids=ids[shared:]))
        self._write("reply", encode(_ReplyLine(reply, shared, context)))

    def on_step(self, step: Step) -> None:
        self._messages += step.observation.messages
        self._write("observation", encode(_ObservationLine(step.observation, step.seconds)))

    def on_episode_end(self, episode: Episode) -> None:
        fields = ("end", "cause", "outcome", "commit", "notes_after")
        self._write("ended", {name: encode(getattr(episode, name)) for name in fields}, sync=True)

    def on_iteration(self, loop: Loop, following: object) -> None:
        """Write nothing: what comes next follows from the loop."""

    def finish(self, end: str) -> None:
        """Write why the loop is over, in a word."""
        self._write("end", encode(_EndLine(end)), sync=True)

    def close(self) -> None:
        self._file.close()

    def _write(self, kind: str, value: object, *, sync: bool = False) -> None:
        self._checksum = jsonl.append(self._file, {kind: value}, previous=self._checksum, sync=sync)


def load(path: Path) -> Loop:
    """Load the loop that a record holds. A torn last line is dropped; a call without an answer is closed as interrupted.

    Raises RecordError, which names the first line that is damaged or does not follow the line before it. Removed last lines are not
    noticed: the loop was interrupted there, as far as the record tells. Records of older versions have no checksums and are loaded too.
    """
    try:
        lines = jsonl.read_lines(path)
    except OSError as error:
        raise RecordError(f"no record at {path} ({(error.strerror or '').lower()}); `codagent list` shows those that there are") from None
    if not lines:
        raise RecordError(f"{path} holds no whole line; the run ended before it began")
    if (schema := _schema(lines[0])) not in (None, SCHEMA):
        raise RecordError(f"{path} has schema {schema!r:.60}, and this codagent reads {SCHEMA}; use the version that wrote it")
    assembly, checksum = _Assembly(), None
    for number, line in enumerate(lines, 1):
        try:
            content, checksum = jsonl.parse(line, checksum)
            ((kind, value),) = content.items()
            assembly.add(kind, value)
        except _WRONG as error:
            raise RecordError(f"{path}, line {number}, is damaged ({error}); the lines before it are whole: cut the file there") from None
    try:
        return _check(assembly.finish())
    except _WRONG as error:
        raise RecordError(f"{path} is damaged: {error}") from None


def _schema(line: bytes) -> object:
    """Return the schema that a record's first line names; None when it names none."""
    try:
        return json.loads(line)["loop"]["schema"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _check(loop: Loop) -> Loop:
    """Return `loop`. Raises ValueError for a commit that git could take for an option."""
    job = loop.settings.get("job", {})
    for commit in (loop.start_commit, job.get("start_commit"), job.get("begin"), *(episode.commit for episode in loop.episodes)):
        if commit and not re.fullmatch(r"\w+", commit):
            raise ValueError(f"{commit[:80]!r} is no commit")
    return loop


class _Assembly:
    """A loop put together from its lines."""

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._episodes: list[Episode] = []
        self._pending: _ReplyLine | None = None  # a reply that has no answer so far
        self._seen: tuple[int, ...] = ()

    def add(self, kind: str, value: dict[str, Any]) -> None:
        """Add the content of the next line. Raises ValueError, LookupError and TypeError for a line that has no place there."""
        match kind:
            case "loop" if self._loop is None:
                if value.pop("schema", None) != SCHEMA:
                    raise ValueError("it names no schema")
                self._loop = decode(Loop, value)
            case _ if self._loop is None:
                raise ValueError("a record begins with a line of kind 'loop'")
            case "episode":
                self._add_episode(value.pop("shared", 0), value)
                self._seen = ()
            case "reply":
                self._add_reply(decode(_ReplyLine, value))
            case "observation" if self._pending:
                self._add_observation(decode(_ObservationLine, value))
            case "ended":
                episode, self._pending = self._close_step(), None
                self._episodes[-1] = decode(Episode, {**encode(replace(episode, steps=())), **value}, steps=episode.steps)
            case "end":
                self._loop = replace(self._loop, end=decode(_EndLine, value).end)
            case "resumed":
                self._loop = replace(self._loop, end=None)
                self._reopen()
            case _:
                raise ValueError(f"a line of kind {kind!r:.60} has no place here")

    def finish(self) -> Loop:
        """Return the loop. An episode without an end is interrupted."""
        if self._episodes and self._episodes[-1].end is None:
            self._episodes[-1] = replace(self._close_step(), end="interrupted")
        assert self._loop
        return replace(self._loop, episodes=tuple(self._episodes))

    def _add_episode(self, shared: int, value: dict[str, Any]) -> None:
        """Add an episode, whose prompt begins with the first `shared` messages of the latest request and what followed it."""
        messages = self._episodes[-1].conversation if self._episodes else ()
        if not 0 <= shared <= len(messages):
            raise ValueError(f"a prompt shares {shared} messages with a request of {len(messages)}")
        episode = decode(Episode, value)
        self._episodes.append(replace(episode, prompt=messages[:shared] + episode.prompt))

    def _add_reply(self, line: _ReplyLine) -> None:
        tokens = line.reply.tokens
        if tokens:
            if not 0 <= line.shared <= len(self._seen):
                raise ValueError(f"a reply shares {line.shared} ids with a request of {len(self._seen)}")
            tokens = Tokens(self._seen[: line.shared] + tokens.prompt_ids, tokens.completion_ids, tokens.logprobs)
            self._seen = tokens.prompt_ids + tokens.completion_ids
        self._pending = replace(line, reply=replace(line.reply, tokens=tokens))

    def _add_observation(self, line: _ObservationLine) -> None:
        assert self._pending
        step = Step(self._pending.reply, line.observation, line.seconds, self._pending.context)
        episode, self._pending = self._episodes[-1], None
        self._episodes[-1] = replace(episode, steps=(*episode.steps, step))

    def _close_step(self) -> Episode:
        """Return the latest episode. A reply without an answer counts as a step that was interrupted."""
        episode = self._episodes[-1]
        if (pending := self._pending) is None:
            return episode
        reply = pending.reply
        answers = tuple(Message("tool", "error: interrupted", tool_call_id=call.id) for call in reply.message.tool_calls)
        return replace(episode, steps=(*episode.steps, Step(reply, Observation(answers, "interrupted"), 0.0, pending.context)))

    def _reopen(self) -> None:
        """Let the latest episode go on, if it can be resumed, and a step of it that has no answer."""
        self._seen = ()
        if not self._episodes or not self._episodes[-1].resumable:
            return
        last = self._close_step()
        self._pending = None
        if last.steps and last.steps[-1].observation.end == "interrupted":
            self._pending = _ReplyLine(last.steps[-1].reply, 0, last.steps[-1].context)
            last = replace(last, steps=last.steps[:-1])
        self._episodes[-1] = replace(last, end=None, cause="", outcome=None, commit=None, notes_after=None)


def _shared_length(a: tuple[object, ...], b: tuple[object, ...]) -> int:
    """Return how many items two sequences share from their beginning."""
    if a[: len(b)] == b:  # nearly always, and much faster than id by id
        return len(b)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
