"""Commands around the conversation: loops, notes, output in full, a transcript, and what this machine has."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from codagent.cli.session.commands.slash_command import Command
from codagent.cli.session.view.ink import clean
from codagent.errors import UsageError
from codagent.files import expand_user
from codagent.redaction import hide_secrets
from codagent.repository import git
from codagent.repository.attempts import answer_of, best
from codagent.session.conversation import is_act
from codagent.store import layout
from codagent.text import count
from codagent.types import Loop, Task

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat


def _loop(chat: Chat, text: str) -> None:
    """Hand a task to a loop that starts from the work so far, and come back with its result as the work."""
    from codagent.cli.terminal.progress import ProgressLines
    from codagent.runner.launch import LaunchOptions, start
    from codagent.runner.result import describe_outcome
    from codagent.runner.spec import LoopSpec

    options, session = chat.options, chat.session
    if not text:
        raise UsageError("say what the loop has to do, as in /loop make all tests pass")
    if not options.settings.checks:
        raise UsageError("a loop needs checks; name one with --check CMD, or in codagent.toml: checks = ['pytest -q']")
    session.open()
    begin = session.history.commit
    task = Task("task", text, options.settings.checks)
    pattern = LoopSpec("", "", (task,), iterate=True, rewrite="until-passed", start_commit=begin, begin=begin).with_own(options.own)
    display = ProgressLines(live=False)
    launch = LaunchOptions(options.root, options.loops, options.settings, options.access, display, lambda _: display)
    (result,) = start(launch, pattern, layout.notes_path(options.loops))
    outcome, commit = describe_outcome(result.loop), best(result.loop)
    if commit and git.tree_of(options.root, commit) != git.tree_of(options.root, begin):
        session.act(
            f"(A loop of attempts has worked on this: {text}\nIts outcome: {outcome}. The files are as it left them.)", commit=commit
        )
    chat.view.say(f"loop {result.loop.id}, {count(len(result.loop.attempts), 'attempt')}: {outcome}; codagent report {result.loop.id}")
    if change := session.history.change():
        chat.tell_change(*change)


def _notes(chat: Chat, _: str) -> None:
    file = layout.notes_path(chat.options.loops)
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    chat.view.markdown(text or "there are no notes; loops leave them")


def _expand(chat: Chat, number: str) -> None:
    chat.expand(number)


def _export(chat: Chat, name: str) -> None:
    chat.session.open()
    loop = chat.session.history.loop
    file = expand_user(name) if name else chat.options.loops / loop.id / "transcript.md"
    if name and file.exists():
        raise UsageError(f"{file} is there already; name another file")
    try:
        file.write_text(hide_secrets(write_transcript(loop)), encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({(error.strerror or '').lower()}); name another file") from None
    chat.view.say(f"written: {file}")


def write_transcript(loop: Loop) -> str:
    """Return a session as Markdown: what the person said, what was called, and what the agent answered."""
    parts = [f"# Session {loop.id}", f"Model: {loop.model}"]
    for episode in loop.attempts:
        if is_act(episode):
            parts.append(f"*{clean(episode.task.instruction)}*")
            continue
        calls = [f"- `{call.name}` {clean(call.arguments)[:200]}" for step in episode.steps for call in step.reply.message.tool_calls]
        parts += [f"## {clean(episode.task.instruction)}", "\n".join(calls), clean(answer_of(episode))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _doctor(chat: Chat, _: str) -> None:
    from codagent.cli.commands.machine import doctor

    chat.view.work("looking at this machine")
    with suppress(typer.Exit):
        doctor(model=None)


COMMANDS = (
    Command("loop", "hand a task to a loop until the checks pass", _loop, "TASK"),
    Command("notes", "show the notes that loops left", _notes),
    Command("expand", "show the output of a call in full", _expand, "[N]"),
    Command("export", "write the conversation as Markdown", _export, "[FILE]"),
    Command("doctor", "say what this machine has", _doctor),
)
