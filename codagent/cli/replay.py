"""`codagent replay`: the recorded replies again, through the same code and a fresh sandbox, up to the first difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import typer

from codagent import git
from codagent.agent import run_episode
from codagent.cli import options
from codagent.cli.outcome import UNFINISHED
from codagent.cli.records import Kept, kept
from codagent.cli.sandboxes import starter
from codagent.config import Settings
from codagent.ledger import Ledger
from codagent.record import decode
from codagent.repository import Repository, Workplace
from codagent.truncate import harmless
from codagent.types import Episode, Profile, Step
from codagent.ui.progress import Progress

_VARYING = re.compile(r"\b\d+(\.\d+)? ?m?s\b|\bin \d+\.\d+ ?s(econds)?\b|0x[0-9a-f]{6,}")


def replay(loop_id: options.LoopId = None, *, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Run a record again at the model's boundary and report the first difference. Durations and addresses may differ."""
    found = kept(repo, record, loop_id)
    progress = Progress()
    for episode in found.loop.episodes:
        difference = next(_differences(found, episode, progress), None)
        if difference:
            print(harmless(difference))
            raise typer.Exit(UNFINISHED)
    print(f"the same: {sum(len(episode.steps) for episode in found.loop.episodes)} steps, and the tree that they end in")


def _differences(found: Kept, episode: Episode, progress: Progress) -> Iterator[str]:
    from codagent.models.scripted import Scripted

    told = found.loop.settings
    settings = Settings(sandbox=told["sandbox"], sandbox_setup=told["sandbox_setup"])
    profile = decode(Profile, told["profile"])
    ledger = Ledger(None, settings.limits, None)
    start_sandbox = starter(found.root, settings, progress.say)
    start = git.Snapshot(root=found.root, head=None, commit=found.loop.start_commit, dirty=False)
    packed = git.pack(start.root, start.commit)
    place = Workplace(start, packed, lambda: start_sandbox(found.loop.id), found.loop.id, ledger)
    with closing(Repository(place, profile)) as environment:
        again = run_episode(Scripted.from_steps(episode.steps), environment, episode.task, profile=profile, observers=(progress,))
        yield from _compare("prompt", [m.content for m in episode.prompt], [m.content for m in again.prompt])
        for number, (then, now) in enumerate(zip(episode.steps, again.steps, strict=False), 1):
            if then.observation.end != "interrupted":
                yield from _compare(f"step {number}", _answers(then), _answers(now))
        if len(again.steps) < len(episode.steps):
            yield f"step {len(again.steps) + 1}: the episode ended before it ({again.end} {again.cause})"
        if episode.commit:
            tree = environment.tree() or git.tree_of(found.root, found.loop.start_commit)
            yield from _compare("tree", [git.tree_of(found.root, episode.commit)], [tree])


def _answers(step: Step) -> list[str]:
    return [message.content for message in step.observation.messages]


def _compare(where: str, then: list[str], now: list[str]) -> Iterator[str]:
    for old, new in zip("\n".join(then).split("\n"), "\n".join(now).split("\n"), strict=False):
        if _VARYING.sub("*", old) != _VARYING.sub("*", new):
            yield f"{where} differs\n- {old}\n+ {new}"
            return
    if "\n".join(then).count("\n") != "\n".join(now).count("\n"):
        yield f"{where} differs in length"
