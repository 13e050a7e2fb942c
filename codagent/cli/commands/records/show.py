"""`codagent show` and `codagent diff`: what a loop said and did, and what it changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options
from codagent.cli.commands.records.stored import load_stored
from codagent.cli.terminal.output import say_bytes
from codagent.cli.terminal.pager import show_paged
from codagent.cli.terminal.paint import paint
from codagent.cli.terminal.progress import format_tokens
from codagent.repository import git
from codagent.repository.attempts import describe_checks
from codagent.runner.result import describe_end, describe_outcome, is_session, kind_of
from codagent.session.conversation import is_act
from codagent.store.trainable import TEXT_ONLY, prefix_chains, untrainable_reason
from codagent.text import strip_controls
from codagent.types import Episode, Loop, Message


def show(
    loop_id: options.RecordId = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    full: Annotated[bool, typer.Option("--full", help="Print everything in full.")] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print which replies have tokens and can be trained on.")] = False,
) -> None:
    """Print the messages and tool calls of a session, run or loop."""
    loop = load_stored(repo, record, loop_id).loop
    lines = _describe_tokens(loop) if tokens else _describe_loop(loop, full)
    show_paged("\n".join(strip_controls(line) for line in lines))


def _describe_loop(loop: Loop, full: bool) -> Iterator[str]:
    """Yield what a loop said and did: the task first, the outcome last."""
    yield f"task:    {loop.attempts[0].task.instruction}" if loop.attempts else "task:    none was begun"
    yield f"{kind_of(loop)}:".ljust(9) + f"{loop.id} · {loop.model} · from {loop.start_commit[:12]}"
    task, number, attempt = loop.attempts[0].task.id if loop.attempts else "", 0, "turn" if is_session(loop) else "iteration"
    for episode in loop.episodes:
        if attempt == "turn" and is_act(episode):
            yield f"\n{episode.task.instruction}"
            continue
        number += episode.kind == "solve"
        if len(loop.episodes) > 1:
            yield f"\n════ {'notes after' if episode.kind == 'notes' else attempt} {number}"
        if episode.task.id != task:
            task = episode.task.id
            yield f"task:    {episode.task.instruction}"
        yield from _describe_episode(episode, full)
    if loop.attempts:
        yield f"\noutcome: {describe_outcome(loop)}"


def diff(loop_id: options.RecordId = None, *, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print what a session, run or loop changed, as a patch."""
    stored = load_stored(repo, record, loop_id)
    if sys.stdout.isatty():
        show_paged(paint(git.diff(stored.root, *stored.change()), color=options.colour()))
    else:  # exact, for `git apply` and the like
        say_bytes(os.fsencode(git.diff(stored.root, *stored.change(), binary=True)))


def _describe_episode(episode: Episode, full: bool) -> Iterator[str]:
    """Yield what the model said and what came back. The prompt is long and nearly always the same, so it is there only with `full`."""
    for message in episode.prompt if full else ():
        yield from _describe(message, full)
    for number, step in enumerate(episode.steps, 1):
        yield f"\n── step {number} · {step.seconds:.1f} s · {format_tokens(step.reply)}"
        yield from _describe(step.reply.message, full)
        for message in step.observation.messages:
            yield from _describe(message, full)
    yield f"\n── ended: {describe_end(episode)}"
    if episode.outcome and episode.kind == "notes":
        yield "the notes were rewritten" if episode.outcome.passed else f"the old notes stay: {episode.outcome.feedback}"
    elif episode.outcome:
        yield f"checks: {describe_checks(episode.outcome)}\n{episode.outcome.feedback}"


def _describe_tokens(loop: Loop) -> Iterator[str]:
    replies = [step.reply for episode in loop.episodes for step in episode.steps]
    for episode in loop.episodes:
        yield f"{'notes after' if episode.kind == 'notes' else 'iteration'} {episode.position + 1}"
        for number, reply in enumerate((step.reply for step in episode.steps), 1):
            held = f"{reply.prompt_tokens:,}+{reply.completion_tokens:,} tokens" if reply.tokens else TEXT_ONLY
            reason = untrainable_reason(reply) if reply.tokens else ""
            yield f"  step {number} · {reply.policy} · {held}{reason and f', not to be trained on: {reason}'}"
    text, fit = sum(reply.tokens is None for reply in replies), sum(not untrainable_reason(reply) for reply in replies)
    rows = sum(
        len(prefix_chains([step.reply.tokens for step in episode.steps if step.reply.tokens and not untrainable_reason(step.reply)]))
        for episode in loop.episodes
    )
    yield f"replies: {len(replies)}, {len(replies) - text} with tokens, {text} text only"
    yield f"rows to train on: {rows}, from {fit} of the replies"


def _describe(message: Message, full: bool) -> Iterator[str]:
    text = strip_controls(message.content)
    calls = [f"[{call.name}] {strip_controls(call.arguments)}" for call in message.tool_calls]
    for part in [text, *calls]:
        if part.strip():
            short = part if full or len(part) <= 2000 else f"{part[:1000]}\n… {len(part) - 2000:,} characters, see --full …\n{part[-1000:]}"
            yield f"{message.role}: {short}"
