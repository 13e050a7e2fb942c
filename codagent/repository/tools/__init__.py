"""The agent's tools: what they are called, and what each does in a sandbox."""

from codagent.repository.tools.calls import call, touched_paths, written_paths
from codagent.repository.tools.earlier_tries import undo_earlier_tries
from codagent.repository.tools.left_behind import describe_left_behind
from codagent.repository.tools.numbered import number_lines
from codagent.repository.tools.offered import BASH, DEFINE, EDIT, FINISH, READ, REPLACE, SEARCH, TOOLS, WRITE, WRITING, select_tools
from codagent.repository.tools.replace import replace_text

__all__ = [
    "BASH",
    "DEFINE",
    "EDIT",
    "FINISH",
    "READ",
    "REPLACE",
    "SEARCH",
    "TOOLS",
    "WRITE",
    "WRITING",
    "call",
    "describe_left_behind",
    "number_lines",
    "replace_text",
    "select_tools",
    "touched_paths",
    "undo_earlier_tries",
    "written_paths",
]
