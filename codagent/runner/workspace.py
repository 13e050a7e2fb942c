"""The repository of a recorded loop, as an environment once more: to replay an attempt, or to make it anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from codagent.errors import UsageError
from codagent.repository import git
from codagent.repository.environment import Repository, Workplace
from codagent.repository.gate import Gates
from codagent.runner.spec import recorded
from codagent.sandbox.pool import Starter
from codagent.settings.settings import LOCAL
from codagent.store import layout
from codagent.store.ledger import Ledger
from codagent.types import Episode, Loop, Profile


@dataclass(frozen=True, slots=True)
class Reopening:
    """Where a recorded loop is reopened."""

    root: Path  # the repository
    loops: Path  # the folder of its loops; verdicts are kept beside it
    say: Callable[[str], None]
    sandbox: str = ""  # that the person has chosen, "": none; a record may be somebody else's and never chooses the local one


def reopened(loop: Loop, where: Reopening, *, profile: Profile | None = None, earlier: Sequence[Episode] = ()) -> Repository:
    """As the attempt after `earlier` found it, in sandboxes of its own.

    `profile`, the record's for None, is that of whoever works there. RecordError when the record does not tell what is needed, UsageError
    when it was made in the local sandbox and the person has not chosen that.
    """
    job, settings, then = recorded(loop)
    root, say = where.root, where.say
    if settings.sandbox == LOCAL and where.sandbox != LOCAL:
        raise UsageError(
            f"loop {loop.id} was run in the local sandbox, whose commands run on this machine; --sandbox local says that they may"
        )
    start_sandbox = Starter(root, settings, say)
    open_sandbox = partial(start_sandbox, loop.id)
    cache = layout.verdicts_path(where.loops)
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
