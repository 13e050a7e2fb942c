"""Runs a task in a plain folder: the files go into a sandbox, the agent works there, and what it changed comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.errors import SandboxError
from codagent.folder.folder_environment import FolderContext, FolderEnvironment
from codagent.folder.folder_files import FolderChanges, collect_files, put_files, read_folder, write_back
from codagent.protocols import GateSandbox, Observer, Sandbox
from codagent.runner.display import Display, LoopView
from codagent.runner.spec import OpenedModel, Result, effective_limits
from codagent.sandbox.pool import SandboxFactory
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.codec import encode
from codagent.store.ledger import Ledger
from codagent.store.metered_model import MeteredModel
from codagent.store.record import Record
from codagent.text import format_result
from codagent.types import Loop, Outcome, Profile, Task

_CHECK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class FolderWork:
    """A task in a folder, and where its record is kept."""

    task: Task
    record: Path  # the folder of the record
    settings: Settings
    attempts: int = 1  # each with a fresh context, on the files as the one before left them, and with its notes
    seed: int | None = None
    user_rules: str = ""


def run_in_sandbox(
    work: FolderWork, opened: OpenedModel, ledger: Ledger, context: FolderContext, observers: Sequence[Observer] = ()
) -> Result:
    """Work on a task in a sandbox that is open already, and record it. Raises SandboxError when the sandbox breaks at once."""
    began, profile = time.monotonic(), effective_limits(work.settings, opened, work.seed).profile
    loop = _new_loop(work, opened, profile)
    record = Record(work.record / layout.RECORD, loop)
    with closing(record):
        agent = Agent(MeteredModel(opened.model, ledger), profile, (record, *observers))
        context = replace(context, seconds_left=lambda: ledger.seconds_left, user_rules=work.user_rules)
        notes = NotesIO("between" if work.attempts > 1 else "never")
        next_task = once_each((work.task,) * work.attempts)
        loop = run_loop(agent, FolderEnvironment(context, profile), next_task, loop=loop, notes_io=notes)
        record.finish(loop.end or "")
    return Result(loop, ledger.spent, time.monotonic() - began, work.record / layout.RECORD, ledger.used)


def run_in_folder(
    root: Path, work: FolderWork, opened: OpenedModel, start: SandboxFactory, display: Display
) -> tuple[Result, FolderChanges]:
    """Work on a task on a copy of the folder `root` in a sandbox, and bring the changes back into the folder.

    The checks run on the files in a second, pristine sandbox. Without git nothing is protected: an agent that changes the tests changes
    what the checks run. Raises SandboxError when no sandbox starts.
    """
    before = read_folder(root)
    limits = effective_limits(work.settings, opened, work.seed).limits
    ledger = Ledger(work.record / layout.LEDGER, limits, opened.price)
    open_sandbox = partial(start, work.record.name)
    with closing(open_sandbox()) as sandbox:
        put_files(sandbox, before)
        context = FolderContext(sandbox, partial(_judge, sandbox, open_sandbox, ledger), say=display.say)
        display.watch(LoopView.of(ledger))
        result = run_in_sandbox(work, opened, ledger, context, (display,))
        try:
            after = collect_files(sandbox)
        except SandboxError as error:
            display.say(f"the folder is as it was: {error}")
            return result, FolderChanges()
    return result, write_back(root, before, after, work.record)


def _new_loop(work: FolderWork, opened: OpenedModel, profile: Profile) -> Loop:
    settings: dict[str, Any] = {"model": work.settings.model, "sandbox": work.settings.sandbox, "profile": encode(profile)}
    return Loop(work.record.name, work.record.name, "folder", opened.model.name, "", settings=settings)


def _judge(sandbox: Sandbox, open_sandbox: partial[GateSandbox], ledger: Ledger, task: Task) -> Outcome | None:
    """Run the checks of a task on the files of the sandbox, in a fresh one. None: the task has no checks."""
    if not task.checks:
        return None
    with closing(open_sandbox()) as judge:
        put_files(judge, collect_files(sandbox))
        return _run_checks(judge, task.checks, ledger)


def _run_checks(judge: GateSandbox, checks: Sequence[str], ledger: Ledger) -> Outcome:
    failed, texts = [], []
    for check in checks:
        seconds = max(1.0, min(_CHECK_SECONDS, ledger.seconds_until_end))
        result = judge.run_attested(check, timeout=seconds)
        if result.exit_code:
            failed.append(check)
            texts.append(f"$ {check}\n{format_result(result, Profile())}")
    reward = 1 - len(failed) / len(checks)
    return Outcome(reward, not failed, "\n".join(texts) or "every check passes", tuple(failed), len(checks))
