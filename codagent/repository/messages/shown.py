"""What a model that cannot search the repository is shown of it: the output of the checks, and the files that matter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from codagent.protocols import Sandbox
from codagent.repository import tools
from codagent.repository.messages.first_message import MessageFacts, answers_in_lines
from codagent.repository.messages.repo_map import select_files
from codagent.repository.python_source import split_python
from codagent.repository.tools.text_file import parse_text
from codagent.types import Profile

QUICK_S = 15.0  # traced, tests take up to three times as long
_LONGEST_LINE = 200


def add_shown(facts: MessageFacts, sandbox: Sandbox, profile: Profile, *, seconds_left: Callable[[], float]) -> MessageFacts:
    """Run the checks of the task in the agent's sandbox, and add what they print, the likeliest files, best first, and the likeliest names
    and lines.

    Where tests fail within `QUICK_S`, they run once more, and it is noted which functions run in them.
    """
    from codagent.repository.gate import try_checks
    from codagent.repository.gate.suspects import SECONDS, find_likely_lines, find_suspects, name_likely, weigh

    task, began = facts.task, time.monotonic()
    output, passed = try_checks(sandbox, task.checks, profile, seconds_left=seconds_left)
    quick = time.monotonic() - began < QUICK_S
    suspects = find_suspects(sandbox, task.checks, seconds=min(SECONDS, seconds_left())) if quick and not passed else ()
    numbered, about = answers_in_lines(profile), f"{task.instruction}\n{output}"
    files = select_files(sandbox, facts.paths, about, profile.fill_tokens, weigh(suspects), numbered=numbered)
    lines = _read_lines(sandbox, find_likely_lines(suspects), numbered=numbered)
    return replace(facts, files=files, checks_output=output, likely=name_likely(suspects), likely_lines=lines)


def _read_lines(sandbox: Sandbox, places: Sequence[tuple[str, int]], *, numbered: bool) -> tuple[str, ...]:
    """Return the texts of lines, each once, without those that are not there or are very long."""
    files: dict[str, list[str]] = {}
    for path in {path for path, _ in places}:
        with suppress(OSError, ValueError):
            lines = split_python(parse_text(sandbox.read(path)).text)
            files[path] = tools.number_lines(lines) if numbered else lines
    found = [line for path, number in places for line in files.get(path, [])[number - 1 : number]]
    return tuple(dict.fromkeys(line.rstrip() for line in found if line.strip() and len(line) <= _LONGEST_LINE))
