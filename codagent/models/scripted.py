"""A model whose replies are fixed: from a script, or from recorded steps. For tests, benchmarks and replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codagent.errors import ContextOverflow, ModelError, UsageError
from codagent.protocols import OnText, ignore_text
from codagent.text import BYTES_PER_TOKEN
from codagent.types import Message, Reply, Sampling, Step, Tool, ToolCall

_Cue = tuple[Reply, tuple[Message, ...] | None]  # a reply and the context that it needs; None: any context


class Scripted:
    """A Model that returns `replies` in their order. Raises ModelError after the last one.

    A reply with a context is returned only when the model is asked with exactly that context; otherwise ContextOverflow is raised.
    """

    def __init__(self, replies: Sequence[_Cue], *, name: str = "scripted") -> None:
        self._replies, self._name, self._next = replies, name, 0

    @classmethod
    def from_file(cls, file: Path, *, answered: int = 0) -> Scripted:
        """Read a script: a JSON list of texts and of objects {"content": …, "calls": [{"name": …, "arguments": {…}}]}.
        An object with a "refusal", the category, is a refusal.

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
        return cls([(step.reply, step.context) for step in steps], name=name)

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        del tools, sampling
        if self._next == len(self._replies):
            raise ModelError(f"the script of {self._name} has ended after {self._next} replies")
        reply, context = self._replies[self._next]
        if context is not None and messages != context:
            raise ContextOverflow(f"reply {self._next + 1} of {self._name} was given to a shorter context")
        self._next += 1
        on_text(reply.raw)
        return reply

    def close(self) -> None:
        pass


def _read_script(items: Sequence[Any]) -> list[_Cue]:
    return [(_read_reply(item, at), None) for at, item in enumerate(items)]


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
