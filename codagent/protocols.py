"""The four seams of codagent: models, sandboxes, environments and observers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from codagent.types import CommandResult, Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tool

OnText = Callable[[str], None]  # is called with each piece of a reply, as the model writes it


class Thought(str):
    """A piece of what a model thinks before it answers. It is shown and recorded, and it is no part of the answer."""

    __slots__ = ()


class CallText(str):
    """A piece of a call's arguments, as a model writes it. It is no part of the answer's text."""

    __slots__ = ()


class PromptProgress(str):
    """Says how much of the prompt the model has read so far, while it reads a long one. It is no part of the answer."""

    __slots__ = ()


class Restart(str):
    """Says why a reply is asked for again. What was heard of it before is void."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a loop takes no further task: the reason in a word, and a sentence for the person ("": there is nothing to say)."""

    reason: str
    message: str = ""


def ignore_text(text: str) -> None:
    """Do nothing with a piece of a reply."""


class Model(Protocol):
    """Anything that answers messages. `reply` raises ModelError, and what `on_text` raises to end a reply.

    A model that waits for a server calls `on_text` with "" meanwhile, several times a second, so that a wait can be ended, too.
    """

    @property
    def name(self) -> str: ...
    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply: ...
    def close(self) -> None: ...


class Sandbox(Protocol):
    """A place where commands run. A failed command is a value; a broken sandbox is a SandboxError.

    A command may leave processes running; `kill_all` kills them, also when they have used up what a new process would need.
    `stop_command` ends the command that runs, from another thread; the sandbox goes on. Nothing happens when no command runs.
    """

    def run(self, command: str, *, timeout: float) -> CommandResult: ...
    def read(self, path: str) -> bytes: ...
    def write(self, path: str, data: bytes) -> None: ...
    def kill_all(self) -> None: ...
    def stop_command(self) -> None: ...
    def close(self) -> None: ...


class GateSandbox(Sandbox, Protocol):
    """A sandbox in which a verdict can be reached.

    `run_attested` is `run` with the exit code of the process itself, and not one that is read from a connection to which every program in
    the sandbox can write. A program that can change the process while it runs can still change the way in which it ends.
    """

    def run_attested(self, command: str, *, timeout: float) -> CommandResult: ...


class Environment(Protocol):
    """What an episode happens in.

    `reset` begins an attempt and returns its prompt: rules, task, notes, and what else is known. `passes` says then whether all checks of
    the task pass already, so that nothing is left to do. `step` answers a reply. `grade` asks the
    gates; None means that the task has none. `save_work` makes the work last, and returns the commit that holds it; None means that the
    environment makes no commits. `describe_state` describes the state after the last step, for the rewrite of the notes.
    """

    @property
    def tools(self) -> tuple[Tool, ...]: ...
    @property
    def passes(self) -> bool: ...
    def reset(self, task: Task, notes: str) -> tuple[Message, ...]: ...
    def step(self, message: Message) -> Observation: ...
    def grade(self) -> Outcome | None: ...
    def save_work(self, outcome: Outcome | None) -> str | None: ...
    def describe_state(self) -> str: ...


@runtime_checkable
class NotesPrompter(Protocol):
    """An environment that asks for the rewrite of the notes in its own words.

    `ask_for_notes` returns the request that follows an attempt. It names the tags `<notes>` and `</notes>`, asks for at most `max_words`
    words between them, and has about `max_bytes` bytes at most.
    """

    def ask_for_notes(self, attempt: Episode, *, max_words: int, max_bytes: int) -> tuple[Message, ...]: ...


class Observer(Protocol):
    """Is called for everything that happens; the record and the display are observers.

    An episode that is resumed does not start again. `on_iteration` is called with what comes next in a loop, before each
    attempt and at the end.
    """

    def on_episode_start(self, episode: Episode) -> None: ...
    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None: ...
    def on_step(self, step: Step) -> None: ...
    def on_episode_end(self, episode: Episode) -> None: ...
    def on_iteration(self, loop: Loop, following: Task | Stop) -> None: ...
