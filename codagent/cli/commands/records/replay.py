"""`codagent replay`: gives the recorded replies to the same code in a fresh sandbox, up to the first difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import typer

from codagent.cli import options
from codagent.cli.commands.allow import allow_local, allowed_setups
from codagent.cli.commands.records.stored import StoredLoop, load_stored
from codagent.cli.terminal.output import say
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.result import UNFINISHED, is_session
from codagent.runner.spec import spec_of
from codagent.settings.settings import Settings
from codagent.types import Episode, Step

# what a clock, a ledger or an allocator says
_VARYING = re.compile(r"\b\d+(\.\d+)? ?m?s\b|\bin \d+\.\d+ ?s(econds)?\b|0x[0-9a-f]{6,}|Left in all: .*")


def replay(
    loop_id: options.LoopId = None,
    *,
    repo: options.Repo = Path(),
    sandbox: options.Sandbox = None,
    record: options.RecordDir = None,
) -> None:
    """Repeat the replies of a run or loop, and report a difference.

    The recorded replies are given to the same code in a fresh sandbox. Times and addresses may differ.
    """
    stored = load_stored(repo, record, loop_id)
    if is_session(stored.loop):
        raise UsageError(
            f"{stored.loop.id} is a session; runs and loops are replayed, `codagent session --resume {stored.loop.id}` goes on with it"
        )
    progress = ProgressLines()
    own = options.read_user_settings(sandbox=sandbox)
    allow_local(stored.root, own)
    attempts = stored.loop.attempts
    for position in range(len(attempts)):
        difference = next(_differences(stored, attempts, position, progress, own), None)
        if difference:
            say(difference)
            raise typer.Exit(UNFINISHED)
    say(f"the same: {sum(len(episode.steps) for episode in attempts)} steps, and the tree that they end in")


def _differences(stored: StoredLoop, attempts: Sequence[Episode], position: int, progress: ProgressLines, own: Settings) -> Iterator[str]:
    from codagent.agent.episode import Agent, run_episode
    from codagent.models.scripted import Scripted
    from codagent.runner.workspace import Reopening, reopen

    episode = attempts[position]
    where = Reopening(stored.root, stored.folder.parent, progress.say, allowed_setups(), own.sandbox, episode.steps)
    with closing(reopen(stored.loop, where, earlier=attempts[:position])) as environment:
        _, _, profile = spec_of(stored.loop)
        agent = Agent(Scripted.from_steps(episode.steps), profile, (progress,))
        fresh = Episode("solve", position, episode.task, episode.notes_before, ())
        again = run_episode(agent, environment, fresh)
        yield from _compare("prompt", [m.content for m in episode.prompt], [m.content for m in again.prompt])
        for number, (then, now) in enumerate(zip(episode.steps, again.steps, strict=False), 1):
            if then.observation.end != "interrupted":
                yield from _compare(f"step {number}", _answers(then), _answers(now))
        if len(again.steps) < len(episode.steps):
            yield f"step {len(again.steps) + 1}: the episode ended before it ({again.end} {again.cause})"
        if episode.commit:
            yield from _compare("tree", [git.tree_of(stored.root, episode.commit)], [environment.tree()])


def _answers(step: Step) -> list[str]:
    return [message.content for message in step.observation.messages]


def _compare(where: str, then: list[str], now: list[str]) -> Iterator[str]:
    for old, new in zip("\n".join(then).split("\n"), "\n".join(now).split("\n"), strict=False):
        if _VARYING.sub("*", old) != _VARYING.sub("*", new):
            yield f"{where} differs\n- {old}\n+ {new}"
            return
    if "\n".join(then).count("\n") != "\n".join(now).count("\n"):
        yield f"{where} differs in length"
