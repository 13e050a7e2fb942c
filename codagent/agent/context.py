"""The messages that the model is asked with: everything so far, until that no longer fits.

Then old answers of tools are shortened, and after that old steps become one line each. The prompt (task, rules, limits) never changes.
Messages are shortened as rarely as possible, so that the prefix cache of a server stays valid for long.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import takewhile

from codagent.errors import ModelError
from codagent.text import BYTES_PER_TOKEN, count_bytes, truncate_middle
from codagent.types import Message, Sampling, Step

KEEP = 4  # the latest steps stay as they are, while that is possible
SHORT_LINES, SHORT_BYTES = 10, 600


class Context:
    """The request to come, as `messages`; it grows by one step at a time."""

    def __init__(self, prompt: tuple[Message, ...], memory: int | None = None, *, goes_on: bool = False) -> None:
        """`memory` and `goes_on` are those of a Profile."""
        self._prompt, self._memory, self._goes_on = prompt, memory, goes_on
        self._steps: list[tuple[Message, ...]] = []
        self._shortened = 0  # steps before this one have short answers
        self._summarised = 0  # steps before this one are a line each
        self._messages = list(prompt)
        self._counted = 0  # tokens of the messages up to the last reply, as the server counted them
        self._fresh_bytes = sum(count_bytes(message) for message in prompt)

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    @property
    def steps(self) -> int:
        return len(self._steps)

    @property
    def forgets(self) -> bool:
        """Whether steps are left out because the model is not to remember them."""
        return self._memory is not None and len(self._steps) > self._memory

    def add(self, step: Step) -> None:
        messages = (step.reply.message, *step.observation.messages)
        self._steps.append(messages)
        if self.forgets:
            kept = self._steps[len(self._steps) - (self._memory or 0) :] or self._find_unfinished()
            self._messages = [*self._prompt, *(message for step in kept for message in step)]
            self._counted, self._fresh_bytes = 0, sum(count_bytes(message) for message in self._messages)
            return
        self._messages.extend(messages)
        self._counted = step.reply.total_tokens
        self._fresh_bytes = sum(count_bytes(message) for message in step.observation.messages)

    def overflows(self, context_tokens: int, sampling: Sampling) -> bool:
        """Whether the next request with its longest answer may pass the model's context."""
        return self._counted + self._fresh_bytes // BYTES_PER_TOKEN + sampling.max_tokens > context_tokens

    def shrink(self) -> None:
        """Shorten what the model needs least. Raises ModelError when nothing is left to shorten."""
        old = max(0, len(self._steps) - KEEP)
        if self._shortened < old:
            self._shortened = old
        elif self._summarised < old:
            self._summarised = old
        elif self._shortened < len(self._steps):
            self._shortened = len(self._steps)
        else:
            raise ModelError("the task does not fit into the model's context; take a model with a longer one, or a shorter task")
        self._messages = self._render()
        self._counted, self._fresh_bytes = 0, sum(count_bytes(message) for message in self._messages)

    def _find_unfinished(self) -> list[tuple[Message, ...]]:
        """Return the latest step if its reply has only words, so that the model can go on from them. After the second such in a row, it
        begins anew, after the third it goes on again.
        """
        if not self._goes_on:
            return []
        words = sum(1 for _ in takewhile(lambda step: not step[0].tool_calls, reversed(self._steps)))
        return self._steps[-1:] if words % 2 else []

    def _render(self) -> list[Message]:
        messages = list(self._prompt)
        if self._summarised:
            lines = [_line(number, step) for number, step in enumerate(self._steps[: self._summarised], 1)]
            messages.append(Message("user", "Earlier steps, in short:\n" + "\n".join(lines)))
        for number, step in enumerate(self._steps[self._summarised :], self._summarised):
            messages.extend(_short(message) if number < self._shortened else message for message in step)
        if self._steps and self._shortened == len(self._steps):  # the latest call goes back with all that came with it
            messages[-len(self._steps[-1])] = self._steps[-1][0]
        return messages


def _short(message: Message) -> Message:
    if message.role == "assistant":
        return without_signatures(message)
    return replace(message, content=truncate_middle(message.content, max_lines=SHORT_LINES, max_bytes=SHORT_BYTES))


def without_signatures(message: Message) -> Message:
    """Return a message without the parts of its `provider_data` that a provider may have signed together with what came before.

    Plain texts stay: a provider that wants its reasoning back refuses a request in which one call has none. So does what belongs to calls.
    """
    if not message.provider_data:
        return message
    try:
        data = json.loads(message.provider_data)
        plain = {key: value for key, value in data["message"].items() if isinstance(value, str)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # a record that another program wrote
        return replace(message, provider_data="")
    return replace(message, provider_data=json.dumps({**data, "message": plain}, ensure_ascii=False))


def _line(number: int, step: tuple[Message, ...]) -> str:
    reply, *answers = step
    calls = "; ".join(f"{call.name} {call.arguments[:160]}" for call in reply.tool_calls) or "no tool call"
    results = " · ".join(answer.content.partition("\n")[0][:120] for answer in answers)
    return f"{number}. {calls} → {results}"
