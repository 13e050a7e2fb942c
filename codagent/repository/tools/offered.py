"""The agent's tools as a model sees them, and which of them it sees."""

from __future__ import annotations

from collections.abc import Mapping

from codagent.types import Profile, Tool

COMMAND_SECONDS = 120.0
READ_LINES = 400


def _tool(name: str, description: str, required: Mapping[str, str], optional: Mapping[str, str] | None = None) -> Tool:
    """Describe a tool. Its parameters are strings, but for `seconds`, `from_line` and `lines`, which are integers."""
    parameters = {**required, **(optional or {})}
    properties = {
        key: {"type": "integer" if key in ("seconds", "from_line", "lines") else "string"} | ({"description": text} if text else {})
        for key, text in parameters.items()
    }
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(required)})


BASH = _tool(
    "bash",
    "Run a command with bash in the repository's root. Every call is a new shell; files persist, `cd` and variables do not. No network.",
    {"command": ""},
    {"seconds": f"time limit, default {COMMAND_SECONDS:.0f}"},
)
READ = _tool("read", "Show a text file, or list a directory.", {"path": ""}, {"from_line": "default 1", "lines": f"default {READ_LINES}"})
EDIT = _tool(
    "edit",
    "Replace one piece of text in a file. `old` must be copied exactly and occur once; take more lines around it until it does.",
    {"path": "", "old": "", "new": ""},
)
WRITE = _tool("write", "Create a file, or replace the whole of one.", {"path": "", "content": ""})
DEFINE = _tool(
    "define",
    "Replace functions or classes of a Python file by the corrected ones in `content`; the rest of the file stays.",
    {"path": "", "content": ""},
)
REPLACE = _tool(
    "replace",
    "Replace lines of a file that is shown with numbers: each line of `content` after its number and |, new lines below them without.",
    {"path": "", "content": ""},
)
SEARCH = _tool("search", "Find a regular expression in the repository's files.", {"pattern": ""}, {"path": "file or directory"})
FINISH = _tool(
    "finish",
    "End, when the task is done and verified, or cannot be done.",
    {"summary": "what was done, in a sentence or two, or the answer to a question"},
    {"blocked": "what stands in the way, if only a person can remove it"},
)
TOOLS = (BASH, READ, EDIT, WRITE, SEARCH, FINISH)
EVERY = (*TOOLS, DEFINE, REPLACE)  # the last two are for small models
WRITING = (EDIT.name, WRITE.name, DEFINE.name, REPLACE.name)


def select_tools(profile: Profile) -> tuple[Tool, ...]:
    """Return the tools that a model with this profile may call."""
    return tuple(tool for tool in EVERY if tool.name in profile.tools) if profile.tools else TOOLS
