"""What a model is told after a write and after a reply without a call, beside the answers of its tools; and whether the attempt is over."""

from __future__ import annotations

import re

from codagent.prompts import prompt
from codagent.types import End, Message, Observation, Profile, Task

NUDGE = "error: no tool was called. Call a tool; when the work is done, call finish."
UNCHECKED = "Nothing was checked, because the task has no checks."
FINISH_NOW = "Call finish when the work is done."
EMPTY = "Your reply was empty. Answer in words, or make the change."
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)


def answer_text(text: str, answer_form: str = "", *, checked: bool) -> Observation:
    """Answer a reply without a call, whose text is `text`. `answer_form` says how an answer should look; "": the profile asks for no form.

    `checked` is whether the task has checks. Without them the reply is the answer, and the attempt is over, unless it has no words and no
    code: small models write empty blocks.
    """
    if checked:
        return Observation((Message("user", answer_form or NUDGE),))
    if not _FENCE.sub("", text).strip():
        return Observation((Message("user", f"{EMPTY} {answer_form}".rstrip()),))
    return Observation((), "finished")


def comment_write(task: Task, profile: Profile, answer_form: str, checked: tuple[str, bool]) -> tuple[str, End | None]:
    """Say what the checks make of a write, and whether the attempt is over. `checked` is what they print, and whether all pass."""
    if not task.checks:  # without memory, the model could only do the same again
        return (UNCHECKED, "finished") if profile.memory == 0 else (f"{UNCHECKED} {FINISH_NOW}", None)
    output, passed = checked
    hint = "" if passed else f"\n\n{prompt('again')} {answer_form}"
    return f"{output}{hint}", "finished" if passed else None
