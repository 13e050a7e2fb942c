"""Puts files back for a model that remembers no step: each of its tries begins with the files that its prompt shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from codagent.protocols import Sandbox
from codagent.repository.tools.offered import WRITING
from codagent.types import Message, Profile

_PUT_BACK = "git --literal-pathspecs checkout -q --force HEAD -- {path} 2>/dev/null || rm -f -- {path}"


def undo_earlier_tries(sandbox: Sandbox, written: Iterable[str], wanted: Message, profile: Profile) -> None:
    """Put the files of earlier tries back when the reply `wanted` wants to write, and remove those that the attempt did not find.

    `written` are the paths that the attempt has written with its tools. The last try stays. For a model that remembers, nothing is done.
    """
    paths = dict.fromkeys(written) if profile.memory == 0 and any(call.name in WRITING for call in wanted.tool_calls) else {}
    if paths:
        sandbox.run("\n".join(_PUT_BACK.format(path=shlex.quote(path)) for path in paths), timeout=60)
