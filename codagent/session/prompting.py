"""The messages that a turn is asked with, and the files that a person names in a text with @."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from codagent.prompts import prompt
from codagent.protocols import Sandbox
from codagent.repository.tools.text_file import parse_text
from codagent.session.conversation import Conversation, append_text, count_tokens, describe_turns, recall
from codagent.session.turn_workspace import TurnWorkspace
from codagent.text import BYTES_PER_TOKEN, encode_text, sanitize, truncate_middle
from codagent.types import Episode, Message, Profile, Task

GO_ON = "Go on."
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|(\S+))')
_PATH = re.compile(r"/|\w\.\w")
_MAX_LINES, _MAX_BYTES = 400, 24_000  # of a file that is named
_SUMMARY_SHARE = 8  # a summary made without the model takes this part of the context at most


def write_prompt(episodes: Sequence[Episode], workspace: TurnWorkspace, task: Task, text: str) -> tuple[Message, ...]:
    """Write what the turn `task` is asked with after `episodes`. `text` is what the person said; "": go on.

    These are all messages so far and the new one. Where the first messages were left out, they are written anew from the files and rules as
    they are now. A small model with `fill_tokens` is always asked anew, with the turns so far in short.
    """
    profile = workspace.profile
    talk = recall(episodes, profile.context_tokens)
    if talk.begun and not profile.fill_tokens:
        unanswered = talk.messages[-1].role == "user"
        return append_text(talk.messages, talk.tell(text or ("" if unanswered else GO_ON)))
    system = Message("system", prompt("session" if profile.prompt == "system" else profile.prompt))
    said = talk.tell(text or GO_ON)
    if profile.fill_tokens:
        return system, Message("user", workspace.write_first_message(replace(task, instruction=said), summarize(episodes, profile)))
    return _join_kept(system, talk, workspace, task, said)


def _join_kept(system: Message, talk: Conversation, workspace: TurnWorkspace, task: Task, said: str) -> tuple[Message, ...]:
    """Join the first messages, the messages that were kept, and what the person says."""
    if not talk.messages:
        return system, Message("user", workspace.write_first_message(replace(task, instruction=said), talk.summary))
    messages = append_text((system,), workspace.write_first_message(replace(task, instruction=""), talk.summary))
    for message in talk.messages:
        messages = append_text(messages, message.content) if message.role == "user" else (*messages, message)
    return append_text(messages, said)


def summarize(episodes: Sequence[Episode], profile: Profile) -> str:
    """Describe the turns so far in short, without a model."""
    return describe_turns(episodes, profile.context_tokens * BYTES_PER_TOKEN // _SUMMARY_SHARE)


def measure(episodes: Sequence[Episode], profile: Profile) -> int:
    """Estimate the tokens of the conversation so far."""
    return count_tokens(recall(episodes, profile.context_tokens).messages, episodes)


def is_too_long(episodes: Sequence[Episode], profile: Profile, text: str) -> bool:
    """Whether the next turn would have less than a quarter of the context, or room for two replies, for its own steps."""
    if profile.fill_tokens:
        return False
    room = max(profile.context_tokens // 4, 2 * profile.sampling.max_tokens)
    return measure(episodes, profile) + len(text) // BYTES_PER_TOKEN > profile.context_tokens - room


def attach_files(text: str, sandbox: Sandbox) -> tuple[str, tuple[str, ...]]:
    """Append the files that a text names as `@path`, or as `@"path"` when the path has spaces. Of a folder its list is appended.

    Returns the text, and the names that look like paths but are none in the sandbox, for which nothing is appended.
    """
    parts, missing = [text], []
    for quoted, plain in dict.fromkeys(_MENTION.findall(text)):
        name = quoted or plain
        for path in dict.fromkeys((name, name.rstrip(".,;:!?)\"'"))):
            try:
                parts.append(_describe_file(path, sandbox))
                break
            except OSError:
                continue
        else:
            missing += [name] * bool(quoted or _PATH.search(plain))
    return "\n\n".join(parts), tuple(missing)


def _describe_file(path: str, sandbox: Sandbox) -> str:
    """Return what is told of a file or folder. Raises OSError when there is none."""
    try:
        data = sandbox.read(path)
    except IsADirectoryError:
        return _fence(f"{path}, a folder", sandbox.run(f"ls -Ap -- {shlex.quote(path)}", timeout=10).output)
    content = encode_text(parse_text(data).text).decode(errors="replace")
    return f"{path} is a binary file of {len(data):,} bytes." if "\0" in content[:8192] else _fence(path, content)


def _fence(title: str, text: str) -> str:
    content = truncate_middle(sanitize(text), max_lines=_MAX_LINES, max_bytes=_MAX_BYTES).rstrip()
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`{3,}", content)), default=0))
    return f"{title}:\n{fence}\n{content}\n{fence}"
