"""Commands on finished loops: show, diff, apply, list, clean."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from codagent.cli import options
from codagent.cli.terminal.output import say, warn, write
from codagent.cli.terminal.paint import paint
from codagent.cli.terminal.progress import format_tokens, format_verdict
from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.result import change, iterations, outcome_label
from codagent.store import layout
from codagent.store.lock import Lock
from codagent.store.record import load
from codagent.store.trainable import TEXT_ONLY, prefix_chains, untrainable_reason
from codagent.text import sanitize
from codagent.types import Loop, Message


@dataclass(frozen=True, slots=True)
class StoredLoop:
    """A loop on disk."""

    root: Path
    folder: Path
    loop: Loop

    def change(self) -> tuple[str, str]:
        """Return the commits before and after. Raises RepositoryError when nothing was changed."""
        changed = change(self.loop)
        if changed is None:
            raise RepositoryError(f"loop {self.loop.id} changed nothing")
        return changed


def load_stored(repo: Path, record: Path | None, loop_id: str | None) -> StoredLoop:
    """Load the loop whose id starts or ends with `loop_id`; None means the latest. Raises RecordError when there is no such loop."""
    root = git.find_root(repo)
    loops = options.loops_dir(root, record)
    folder = loops / layout.find_loop(loops, loop_id)
    return StoredLoop(root, folder, load(folder / layout.RECORD))


def show(
    loop_id: options.LoopId = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    full: Annotated[bool, typer.Option("--full", help="Print everything in full.")] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print which replies have tokens and can be trained on.")] = False,
) -> None:
    """Print the messages and tool calls of a loop."""
    loop = load_stored(repo, record, loop_id).loop
    if tokens:
        _print_tokens(loop)
        return
    say(f"loop {loop.id} · {loop.model} · from {loop.start_commit[:12]}")
    for episode in loop.episodes:
        if len(loop.episodes) > 1:
            say(f"\n════ {'notes after' if episode.kind == 'notes' else 'iteration'} {episode.position + 1}")
        for message in episode.prompt:
            _print(message, full)
        for number, step in enumerate(episode.steps, 1):
            say(f"\n── step {number} · {step.seconds:.1f} s · {format_tokens(step.reply)}")
            _print(step.reply.message, full)
            for message in step.observation.messages:
                _print(message, full)
        say(f"\n── ended: {episode.end} {episode.cause}".rstrip())
        if episode.outcome:
            say(f"gates: {format_verdict(episode.outcome)}\n{episode.outcome.feedback}")


def diff(loop_id: options.LoopId = None, *, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print what a loop changed, as a patch."""
    stored = load_stored(repo, record, loop_id)
    if sys.stdout.isatty():
        write(paint(git.diff(stored.root, *stored.change()), color=options.colour()) + "\n", sys.stdout)
    else:  # exact, for `git apply` and the like
        sys.stdout.buffer.write(os.fsencode(git.diff(stored.root, *stored.change(), binary=True)))


def apply(loop_id: options.LoopId = None, *, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Apply a loop's change to the working tree.

    The change is merged with yours. If something conflicts, nothing is changed.
    """
    stored = load_stored(repo, record, loop_id)
    conflicts = git.apply(stored.root, *stored.change())
    if conflicts:
        raise RepositoryError(
            f"nothing was changed: {', '.join(conflicts)} changed here too; merge {git.branch_name(stored.loop.id)} by hand"
        )
    say(git.diff(stored.root, *stored.change(), stat=True), end="")


def list_(*, repo: options.Repo = Path(), record: options.RecordDir = None, json_: options.Json = False) -> None:
    """List the loops of a repository, the latest last. A loop whose record is damaged is listed with the reason."""
    loops = options.loops_dir(git.find_root(repo), record)
    rows = [_summary_row(loop_id, loops / loop_id / layout.RECORD) for loop_id in layout.list_loops(loops)]
    if json_:
        say(json.dumps(rows))
        return
    for row in rows:
        text = str(row.get("error", row["task"])).partition("\n")[0]
        text = f"{'':>3}  {text}" if "error" in row else f"{row['iterations']:>3}  {row['model']:<24} {text[:80]}"
        say(f"{row['id']}  {row['outcome']:<12} {text}")


def clean(
    loop_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Loops to delete.", show_default=False)] = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    all_: Annotated[bool, typer.Option("--all", help="Delete every loop of this repository.")] = False,
) -> None:
    """Delete loops, and containers that a killed run left.

    A loop's branch and its record are deleted with it. A loop that is being worked on is left alone.
    """
    root = git.find_root(repo)
    loops = options.loops_dir(root, record)
    chosen = layout.list_loops(loops) if all_ else [layout.find_loop(loops, wanted) for wanted in loop_ids or []]
    exit_code = 0
    for loop_id in chosen:
        try:
            with Lock(loops / loop_id / layout.LOCK):
                with suppress(UsageError):  # the folder's name is no id of a loop, so git has nothing of it
                    git.unpublish(root, loop_id)
                shutil.rmtree(loops / loop_id)
        except (RepositoryError, UsageError) as error:
            warn(f"codagent: {error}")
            exit_code = error.exit_code
            continue
        say(f"removed {loop_id}")
    from codagent.sandbox.docker.reaper import reap

    for name in reap():
        say(f"removed container {name}")
    if exit_code:
        raise typer.Exit(exit_code)


def _summary_row(loop_id: str, record: Path) -> dict[str, Any]:
    """Return what `list` tells of a loop; with the key "error" when its record cannot be read."""
    try:
        loop = load(record)
        attempts = loop.attempts
        outcome, task = (outcome_label(loop), attempts[0].task.instruction) if attempts else ("empty", "")
        return {"id": loop_id, "group": loop.group, "model": loop.model, "iterations": iterations(loop), "outcome": outcome, "task": task}
    except (RecordError, RepositoryError) as error:
        return {"id": loop_id, "group": "", "model": "", "iterations": 0, "outcome": "damaged", "task": "", "error": str(error)}


def _print_tokens(loop: Loop) -> None:
    replies = [step.reply for episode in loop.episodes for step in episode.steps]
    for episode in loop.episodes:
        say(f"{'notes after' if episode.kind == 'notes' else 'iteration'} {episode.position + 1}")
        for number, reply in enumerate((step.reply for step in episode.steps), 1):
            held = f"{reply.prompt_tokens:,}+{reply.completion_tokens:,} tokens" if reply.tokens else TEXT_ONLY
            reason = untrainable_reason(reply) if reply.tokens else ""
            say(f"  step {number} · {reply.policy} · {held}{reason and f', not to be trained on: {reason}'}")
    text, fit = sum(reply.tokens is None for reply in replies), sum(not untrainable_reason(reply) for reply in replies)
    rows = sum(
        len(prefix_chains([step.reply.tokens for step in episode.steps if step.reply.tokens and not untrainable_reason(step.reply)]))
        for episode in loop.episodes
    )
    say(f"replies: {len(replies)}, {len(replies) - text} with tokens, {text} text only")
    say(f"rows to train on: {rows}, from {fit} of the replies")


def _print(message: Message, full: bool) -> None:
    text = sanitize(message.content)
    calls = [f"[{call.name}] {sanitize(call.arguments)}" for call in message.tool_calls]
    for part in [text, *calls]:
        if part.strip():
            short = part if full or len(part) <= 2000 else f"{part[:1000]}\n… {len(part) - 2000:,} characters, see --full …\n{part[-1000:]}"
            say(f"{message.role}: {short}")
