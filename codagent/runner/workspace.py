"""The repository of a recorded loop, as an environment once more: to replay an attempt, or to make it anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from codagent.repository import git
from codagent.repository.environment import Repository, Workplace
from codagent.repository.gate import Gates
from codagent.runner.spec import recorded
from codagent.sandbox.pool import Starter
from codagent.store import layout as state
from codagent.store.ledger import Ledger
from codagent.types import Episode, Loop, Profile


def reopened(
    root: Path,
    loop: Loop,
    *,
    loops: Path,
    say: Callable[[str], None],
    profile: Profile | None = None,
    earlier: Sequence[Episode] = (),
) -> Repository:
    """As the attempt after `earlier` found it, in sandboxes of its own; the verdicts of its gates are kept beside `loops`.

    `profile`, the record's for None, is that of whoever works there. RecordError when the record does not tell what is needed.
    """
    job, settings, then = recorded(loop)
    start_sandbox = Starter(root, settings, say)
    open_sandbox = partial(start_sandbox, loop.id)
    cache = state.verdicts_file(loops)
    place = Workplace(
        root=root,
        start_commit=job.start_commit,
        begin=job.begin,
        packed=git.pack(root, job.begin),
        open_sandbox=open_sandbox,
        loop_id=loop.id,
        ledger=Ledger(None, settings.limits, None),
        gates=Gates(root, job.start_commit, open_sandbox, protect=settings.protect, image=start_sandbox.image(), cache=cache),
        start=job.start,
        limits=settings.limits if job.iterate else None,
    )
    return Repository(place, profile or then, earlier)
