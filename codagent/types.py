"""The values that flow through codagent, and what follows from them. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "tool_calls", "length", "refused"]
Effort = Literal["none", "minimal", "low", "medium", "high", "max"]  # how much a model thinks before it answers
EFFORTS: tuple[Effort, ...] = get_args(Effort)
Calling = Literal["native", "constrained", "text"]
Kind = Literal["solve", "notes"]
StartFrom = Literal["best", "last", "start"]  # where an attempt of a loop begins
# until-passed: after each attempt, unless the loop has passed with it · between: after each attempt but the last
Rewrite = Literal["never", "between", "until-passed", "always"]  # when the notes are rewritten
# finished: the agent said so · repeated: the same call and answer, again and again · silent: no more tool calls · refused: by the model
# passed: the checks passed before any step · model, sandbox: these broke · repository: the work is not brought back · or a limit, a person
CutShort = Literal["tokens", "seconds", "usd", "model", "sandbox", "interrupted"]
End = Literal["finished", "repeated", "silent", "refused", "passed", "steps", "repository", CutShort]
ENDS_LOOP: tuple[CutShort, ...] = get_args(CutShort)  # an episode that ends so ends its loop, which is not complete


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model made it; `arguments` is its raw text, valid JSON or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    provider_data: str = ""  # JSON text of what the provider wants back with the message, which only models read; "": nothing


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model is told of a tool; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was sampled: natural-log probabilities, one per completion id, under the policy that sampled them."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is sampled. None leaves the choice to the server, which makes a record unfit for replay training."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int = 4096
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model. `policy` names the weights and how tools were called; `raw` is the text as it was sampled."""

    message: Message
    stop: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    tokens: Tokens | None
    sampling: Sampling
    policy: str
    raw: str
    cached_tokens: int = 0  # of the prompt, read from the provider's cache
    refusal: str = ""  # the category, when `stop` is "refused"

    @property
    def total_tokens(self) -> int:
        """Tokens of the request and of the reply: what the next request begins with."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Observation:
    """What came back for a reply; `end` is set when the episode is over by it."""

    messages: tuple[Message, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One reply and what came back."""

    reply: Reply
    observation: Observation
    seconds: float
    context: tuple[Message, ...] | None = None  # what the model was asked with, when that was not simply all that came before


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do. `checks` are shell commands whose exit code 0 means passed."""

    id: str
    instruction: str
    checks: tuple[str, ...] = ()
    seed: int = 0
    start: str = ""  # the commit that it starts from; "": what the task before it left


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gates said, for the next episode and for a person. Of a notes episode: 0, or what malformed notes cost."""

    reward: float  # 0..1
    passed: bool
    feedback: str
    failed: tuple[str, ...] = ()  # by name
    total: int = 0  # how many tests and checks were judged; 0: that was not counted
    kept: bool = False  # whether an earlier command judged the same files, and not this one
    suspicious: tuple[str, ...] = ()  # changes for which a pass of all checks does not count, until a person allows them


@dataclass(frozen=True, slots=True)
class Limits:
    """What one loop may use in all, or one turn of a session."""

    iterations: int = 10
    patience: int = 5  # iterations in a row without progress
    steps: int = 50  # of each episode
    tokens: int = 1_000_000
    seconds: float = 1800.0
    usd: float | None = 5.0  # None: no price is known and no limit was asked for
    wait: float = 1800.0  # for how many seconds a model that fails is asked again


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model is best worked with; data of its catalogue entry, so that the agent has one code path."""

    prompt: str = "system"  # which of prompts/*.md
    calling: Calling = "native"
    tools: tuple[str, ...] = ()  # names it is offered; empty: all
    steps: int | None = None  # an episode is no longer than this, whatever the limits say
    memory: int | None = None  # how many of its latest steps it is asked with; None: all, while they fit
    goes_on: bool = False  # with a `memory` of 0: once from a reply of words alone, which did nothing
    sampling: Sampling = Sampling()
    context_tokens: int = 128_000
    fill_tokens: int = 0  # how much of the files and check output is shown up front
    checks_after_write: bool = False  # a write is answered with what the checks say now, or that there are none
    output_lines: int = 200
    output_bytes: int = 16_000
    notes_tokens: int = 800  # how long the notes may be that it writes and is given
    room_after_cut: int = 1  # how many times longer a reply may be that follows one that was cut; 1: no longer, and the model is not told
    repeats: int = 3  # at least 2; the same call with the same answer this often ends the episode


@dataclass(frozen=True, slots=True)
class Episode:
    """One attempt at a task, or one rewrite of the notes."""

    kind: Kind
    position: int
    task: Task
    notes_before: str
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...] = ()
    end: End | None = None
    cause: str = ""  # the sentence behind an end that was not the agent's
    outcome: Outcome | None = None
    commit: str | None = None
    notes_after: str | None = None  # of a notes episode: what is carried on

    @property
    def resumable(self) -> bool:
        """Whether the episode can be gone on with: it has no end, or a failure or a person ended it before its checks passed."""
        return self.end in ("model", "sandbox", "interrupted", None) and not (self.outcome and self.outcome.passed)

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages of the latest request, the reply to it, and what came back for that; the prompt when there was no reply."""
        *_, latest = (self.prompt, *self.requests())
        return (*latest, *(m for step in self.steps[-1:] for m in (step.reply.message, *step.observation.messages)))

    def requests(self) -> Iterator[tuple[Message, ...]]:
        """Yield the messages that the model was asked with, for each step in order."""
        messages = self.prompt
        for step in self.steps:
            messages = messages if step.context is None else step.context
            yield messages
            messages = (*messages, step.reply.message, *step.observation.messages)


@dataclass(frozen=True, slots=True)
class Loop:
    """The whole sequence of episodes, as a record keeps it."""

    id: str
    group: str
    environment: str
    model: str
    start_commit: str
    episodes: tuple[Episode, ...] = ()
    notes: str = ""
    end: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attempts(self) -> tuple[Episode, ...]:
        """The episodes that worked on a task, passed or not."""
        return tuple(episode for episode in self.episodes if episode.kind == "solve")

    @property
    def latest_notes(self) -> str:
        """The notes as the latest episode left them; those that the loop began with when there is no episode."""
        last = self.episodes[-1] if self.episodes else Episode("notes", 0, Task("", ""), self.notes, ())
        return last.notes_before if last.notes_after is None else last.notes_after

    @property
    def complete(self) -> bool:
        """Whether the loop came to its end; False when it is still going on, or a limit, a failure or a person cut it short."""
        return self.end is not None and self.end not in ENDS_LOOP


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command in a sandbox did."""

    exit_code: int
    output: str  # stdout and stderr as they came, decoded with replacement
    timed_out: bool
    seconds: float
    omitted_bytes: int = 0  # of the output's middle, left out to bound memory
    log: str | None = None  # the path in the sandbox where more of the output lies
