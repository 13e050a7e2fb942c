"""The settings of a run, as all that reads them takes them. `layers` puts them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from codagent.types import Calling, Effort, Limits

if TYPE_CHECKING:
    from codagent.settings.hooks import Hook

LOCAL = "local"  # the sandbox that does not isolate
Approval = Literal["ask", "allow", "never"]


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as the user's file describes it."""

    url: str = ""  # where it is, or its name elsewhere; "": the name of the table
    key_env: str = ""  # the environment variable with its key; "": the usual one
    window: int | None = None  # tokens of a request and its reply; None: as of any model
    max_output: int | None = None  # tokens of a reply; None: as of any model
    effort: Effort | None = None  # how much it thinks; None: as its server chooses
    price: Mapping[str, float] | None = None  # US dollars for a million tokens: `prompt`, `completion` and maybe `cached`; None: not known
    calling: Calling | None = None  # None: as `doctor` found, or native
    headers: Mapping[str, str] = field(default_factory=dict)  # that are sent with each request


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server. It is started by `command` on this machine, or it is asked at `url`."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)  # beside a few safe variables; ${NAME} is one of this machine
    cwd: str = ""  # where it is started, from the repository's root
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # that are sent with each request; ${NAME} as above
    tools: tuple[str, ...] = ()  # the only ones that are used; (): all
    without: tuple[str, ...] = ()  # tools that are not used
    seconds: float = 60.0  # that a call may take
    approval: Approval = "allow"  # ask: a person is asked before each call; never: the server is not used
    defer: bool = False  # whether a model has to find the tools by words before it is shown them
    own: bool = True  # the person's; False: the repository's, which the person has allowed


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person asked for, with defaults for the rest."""

    model: str = "embedded"
    checks: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()  # globs of files that the checks see as they stood at the start
    allow: tuple[str, ...] = ()  # globs of files whose suspicious changes do not prevent a pass
    sandbox: str = "python"  # its name
    sandbox_setup: Mapping[str, Any] = field(default_factory=dict)  # the other keys of [sandbox]
    limits: Limits = Limits()
    notes_tokens: int = 800
    effort: Effort | None = None  # how much the model thinks; None: as its own table says, or as its server chooses
    models: Mapping[str, NamedModel] = field(default_factory=dict)  # of the user's file, by name
    hooks: tuple[Hook, ...] = ()  # commands of the person, and those of the repository that the person allowed
    servers: tuple[McpServer, ...] = ()  # MCP servers of the person, and those of the repository that the person allowed
    asked: frozenset[str] = frozenset()  # the keys that some layer set; the others are defaults
