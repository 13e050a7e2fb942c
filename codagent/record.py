"""A loop as JSON Lines, token by token: appended as it happens, loaded strictly, repaired where a crash tore it.

One line each for the loop, an episode's start, a reply, what came back for it, an episode's end, the loop's end. Prompt ids are kept as
what differs from the request before, so that a record grows by what was said and not by what was sent.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from codagent.errors import RecordError
from codagent.types import Episode, Loop, Message, Observation, Reply, Step, Tokens

SCHEMA = 1
T = TypeVar("T")


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
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("x", encoding="utf-8")
        self._seen: tuple[int, ...] = ()
        self._write("loop", {"schema": SCHEMA, **encode(loop)})

    def started(self, episode: Episode) -> None:
        self._seen = ()
        self._write("episode", encode(episode))

    def replied(self, reply: Reply, context: tuple[Message, ...] | None) -> None:
        shared = 0
        if reply.tokens:
            ids = reply.tokens.prompt_ids
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ids, self._seen, strict=False)))
            self._seen = ids + reply.tokens.completion_ids
            reply = replace(reply, tokens=replace(reply.tokens, prompt_ids=ids[shared:]))
        self._write("reply", encode(_Replied(reply, shared, context)))

    def stepped(self, step: Step) -> None:
        self._write("observation", encode(_Observed(step.observation, step.seconds)))

    def ended(self, episode: Episode) -> None:
        self._write("ended", {"end": episode.end, "cause": episode.cause, "outcome": encode(episode.outcome), "commit": episode.commit})
        os.fsync(self._file.fileno())

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
        raw = path.read_bytes()
    except OSError as error:
        raise RecordError(f"no record at {path} ({(error.strerror or '').lower()}); `codagent list` shows those that there are") from None
    lines = raw.split(b"\n")[:-1]  # a line without its newline was torn
    if not lines:
        raise RecordError(f"{path} holds no whole line; the run ended before it began")
    parsed = [_line(path, number, line) for number, line in enumerate(lines, 1)]
    kind, head = parsed[0]
    schema = head.pop("schema", None) if kind == "loop" else None
    if schema != SCHEMA:
        raise RecordError(f"{path} has schema {schema!r}, and this codagent reads {SCHEMA}; use the version that wrote it")
    try:
        return _assemble(decode(Loop, head), iter(parsed[1:]))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RecordError(f"{path} is damaged: {error}") from None


def _line(path: Path, number: int, line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        ((kind, value),) = json.loads(line).items()
    except (ValueError, AttributeError):
        raise RecordError(
            f"{path}, line {number}, is damaged; the lines before it are whole and can be kept by cutting the file there"
        ) from None
    return kind, value


def _assemble(loop: Loop, lines: Iterator[tuple[str, dict[str, Any]]]) -> Loop:
    episodes: list[Episode] = []
    pending: _Replied | None = None
    seen: tuple[int, ...] = ()
    for kind, value in lines:
        if kind == "episode":
            episodes.append(decode(Episode, value))
            seen = ()
        elif kind == "reply":
            pending = decode(_Replied, value)
            reply, seen = _whole(pending, seen)
            pending = replace(pending, reply=reply)
        elif kind == "observation" and pending:
            observed = decode(_Observed, value)
            episodes[-1] = _with(episodes[-1], Step(pending.reply, observed.observation, observed.seconds, pending.context))
            pending = None
        elif kind == "ended":
            episodes[-1] = _end(_interrupted(episodes[-1], pending), value)
            pending = None
        elif kind == "end":
            loop = replace(loop, end=value["end"])
        else:
            raise ValueError(f"a line of kind {kind!r} has no place here")
    if episodes and episodes[-1].end is None:
        episodes[-1] = replace(_interrupted(episodes[-1], pending), end="interrupted")
    return replace(loop, episodes=tuple(episodes))


def _whole(replied: _Replied, seen: tuple[int, ...]) -> tuple[Reply, tuple[int, ...]]:
    tokens = replied.reply.tokens
    if tokens is None:
        return replied.reply, seen
    tokens = Tokens(seen[: replied.shared] + tokens.prompt_ids, tokens.completion_ids, tokens.logprobs)
    return replace(replied.reply, tokens=tokens), tokens.prompt_ids + tokens.completion_ids


def _with(episode: Episode, step: Step) -> Episode:
    return replace(episode, steps=(*episode.steps, step))


def _interrupted(episode: Episode, pending: _Replied | None) -> Episode:
    if pending is None:
        return episode
    answers = tuple(Message("tool", "error: interrupted", tool_call_id=call.id) for call in pending.reply.message.tool_calls)
    return _with(episode, Step(pending.reply, Observation(answers, "interrupted"), 0.0, pending.context))


def _end(episode: Episode, value: Mapping[str, Any]) -> Episode:
    return decode(Episode, {**encode(replace(episode, steps=())), **value}, steps=episode.steps)


def requests(episode: Episode) -> Iterator[tuple[Message, ...]]:
    """The messages that each step's model was asked with, in order."""
    asked = episode.prompt
    for step in episode.steps:
        if step.context is not None:
            asked = step.context
        yield asked
        asked = (*asked, step.reply.message, *step.observation.messages)


def encode(value: Any) -> Any:
    """A value of `types` as plain JSON; fields at their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(v) for f in fields(value) if (v := getattr(value, f.name)) != f.default or f.default is MISSING}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(kind: type[T], data: Mapping[str, Any], **given: Any) -> T:
    """The dataclass `kind` out of plain JSON; unknown keys and values of another type are a ValueError."""
    hints = _hints(cast("Hashable", kind))
    unknown = data.keys() - hints.keys()
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r} in {kind.__name__.strip('_').lower()}")
    return kind(**{key: _value(hints[key], item) for key, item in data.items()}, **given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, item: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return item
    if origin in (Union, types.UnionType):
        return None if item is None else _value(next(a for a in arguments if a is not types.NoneType), item)
    if origin is tuple:
        return tuple(_value(arguments[0], part) for part in _typed(list, item))
    if origin is Literal:
        if item not in arguments:
            raise ValueError(f"{item!r} is none of {', '.join(map(repr, arguments))}")
        return item
    if is_dataclass(hint):
        return decode(hint, _typed(dict, item))  # type: ignore[arg-type]
    return _typed(dict if origin else (int, float) if hint is float else hint, item)


def _typed(kind: Any, item: Any) -> Any:
    if not isinstance(item, kind):
        raise ValueError(f"{item!r:.60} where {kind} belongs")
    return item
