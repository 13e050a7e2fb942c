"""A model whose replies are fixed: from a script, or from recorded steps. For tests, benchmarks and replay."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import ContextOverflow, ModelError, UsageError
from codagent.protocols import OnText, ignore_text
from codagent.text import BYTES_PER_TOKEN, count
from codagent.types import Message, Reply, Sampling, Step, Tool, ToolCall

_MOST_SECONDS = 3600.0  # that a reply may take


@dataclass(frozen=True, slots=True)
class _Cue:
    reply: Reply
    context: tuple[Message, ...] | None = None  # that the reply needs; None: any context
    seconds: float = 0.0  # that the model takes


class Scripted:
    """A Model that returns `replies` in their order. Raises ModelError after the last one.

    A reply with a context is returned only when the model is asked with exactly that context; otherwise ContextOverflow is raised.
    """

    def __init__(self, replies: Sequence[_Cue], *, name: str = "scripted") -> None:
        self._replies, self._name, self._next = replies, name, 0

    @classmethod
    def from_file(cls, file: Path, *, answered: int = 0) -> Scripted:
        """Read a script: a JSON list of texts and of objects {"content": …, "calls": [{"name": …, "arguments": {…}}]}.
        An object with a "refusal", the category, is a refusal. One with "seconds" takes so long.

        `answered` is how many of its replies are skipped, because an earlier process used them. Raises UsageError for any other file.
        """
        try:
            replies = _read_script(json.loads(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"cannot read the script {file}: {(error.strerror or str(error)).lower()}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = f"{type(error).__name__}: {error!s:.200}"
            raise UsageError(f"{file} is not a script of replies: {wrong}; it is a JSON list of texts and objects with `calls`") from error
        script = cls(replies, name=f"scripted:{file}")
        script._next = min(answered, len(replies))
        return script

    @classmethod
    def from_items(cls, items: Sequence[Any]) -> Scripted:
        """Make a script from the values of such a JSON list."""
        return cls(_read_script(items))

    @classmethod
    def from_steps(cls, steps: Sequence[Step], name: str = "recorded") -> Scripted:
        """Return the replies of recorded steps again.

        Where the recorded context had been shortened, ContextOverflow makes the agent shorten it again.
        """
        return cls([_Cue(step.reply, step.context) for step in steps], name=name)

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del tools, sampling
        if self._next == len(self._replies):
            raise ModelError(f"the script of {self._name} has ended after {count(self._next, 'reply')}")
        cue = self._replies[self._next]
        if cue.context is not None and messages != cue.context:
            raise ContextOverflow(f"reply {self._next + 1} of {self._name} was given to a shorter context")
        self._next += 1
        time.sleep(cue.seconds)
        on_text(cue.reply.raw)
        return cue.reply

    def close(self) -> None:
        pass


def _read_script(items: Sequence[Any]) -> list[_Cue]:
    return [_Cue(_read_reply(item, at), seconds=_read_seconds(item)) for at, item in enumerate(items)]


def _read_seconds(item: Any) -> float:
    seconds = 0.0 if isinstance(item, str) else float(item.get("seconds", 0))
    if not 0 <= seconds < _MOST_SECONDS:
        raise ValueError(f"seconds are {seconds:g}, and must be from 0 to {_MOST_SECONDS:g}")
    return seconds


def _read_reply(item: Any, at: int) -> Reply:
    content = item if isinstance(item, str) else item.get("content", "")
    calls = [] if isinstance(item, str) else item.get("calls", [])
    refusal = "" if isinstance(item, str) else str(item.get("refusal", ""))
    made = tuple(ToolCall(f"call_{at}_{i}", call["name"], _arguments_text(call.get("arguments", {}))) for i, call in enumerate(calls))
    written = len(content) + sum(len(call.arguments) for call in made)
    return Reply(
        message=Message("assistant", content, made),
        stop="refused" if refusal else "tool_calls" if made else "stop",
        prompt_tokens=1,
        completion_tokens=written // BYTES_PER_TOKEN + 1,
        cost_usd=0.0,
        tokens=None,
        sampling=Sampling(),
        policy="scripted",
        raw=content,
        refusal=refusal,
    )


def _arguments_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
