"""What a model that cannot search the repository is shown of it: the output of the checks, and the files that matter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from codagent.protocols import Sandbox
from codagent.repository.messages.repo_map import ShownFile, select_files
from codagent.types import Profile, Task

QUICK_S = 15.0  # traced, tests take up to three times as long


def gather_shown(
    sandbox: Sandbox, paths: Sequence[str], task: Task, profile: Profile, *, seconds_left: Callable[[], float]
) -> tuple[str, tuple[ShownFile, ...]]:
    """Run the checks of the task in the agent's sandbox, and return what they print and the likeliest of the files, best first.

    Where tests fail within `QUICK_S`, they run once more, and it is noted which functions run in them.
    """
    from codagent.repository.gate import try_checks
    from codagent.repository.gate.suspects import SECONDS, find_suspects, weigh

    began = time.monotonic()
    output, passed = try_checks(sandbox, task.checks, profile, seconds_left=seconds_left)
    quick = time.monotonic() - began < QUICK_S
    suspects = find_suspects(sandbox, task.checks, seconds=min(SECONDS, seconds_left())) if quick and not passed else ()
    return output, select_files(sandbox, paths, f"{task.instruction}\n{output}", profile.fill_tokens, weigh(suspects))
