"""The first message of an attempt: the task and all that is known at its start, no longer than it may be.

Works on data alone: what has to be read, run or graded is done before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codagent.prompts import prompt
from codagent.repository import tools
from codagent.repository.attempts import Attempt, describe_attempts
from codagent.repository.messages.repo_map import ShownFile, list_files
from codagent.repository.messages.rules import Rules, describe_rules
from codagent.store.ledger import Spent
from codagent.text import format_usd, truncate_middle, utf8_size
from codagent.types import Limits, Profile, Task

GATES_BYTES = 4_000
LISTED_RULES = 20
_LEAST_BYTES = 200  # a part that would be shorter is left out
_MARK_BYTES = 60  # for the line that says what is missing


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a loop's limits as an attempt begins."""

    attempt: int  # its number, from 1
    iterations: int
    tokens: int
    seconds: float
    usd: float | None  # None: money is not limited

    def __str__(self) -> str:
        money = "" if self.usd is None else f", {format_usd(self.usd)}"
        turn = f"This is attempt {self.attempt} of {self.iterations}."
        return f"{turn} Left in all: {self.tokens:,} tokens, {max(0.0, self.seconds) / 60:.0f} minutes{money}."


def subtract_spent(limits: Limits, spent: Spent, *, seconds_left: float, attempt: int) -> Remaining:
    """Return what is left of a loop's limits as attempt number `attempt` begins."""
    usd = None if limits.usd is None else limits.usd - spent.usd
    return Remaining(attempt, limits.iterations, limits.tokens - spent.tokens, seconds_left, usd)


_POLITE = re.compile(r"\s*(?:(?:please|can you|could you|would you|will you)\b[\s,]*)+", re.IGNORECASE)
_ASKS = re.compile(r"\s*(?:what|where|which|who|whose|when|why|how|explain|describe|tell me|list|summari[sz]e)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What is known as an attempt begins."""

    task: Task
    paths: Sequence[str]  # every file of the repository
    rules: Rules = Rules()
    remaining: Remaining | None = None  # None: the task is worked on once
    attempts: Sequence[Attempt] = ()  # earlier ones at this task
    feedback: str = ""  # what the gates say of the files that the attempt starts from
    notes: str = ""
    files: Sequence[ShownFile] = ()  # the likeliest first: for models with `fill_tokens`
    checks_output: str = ""  # what the checks print in the attempt's own sandbox
    likely: Sequence[str] = ()  # names of functions that may have the bug, the likeliest first
    likely_lines: Sequence[str] = ()  # of code that may have it, the likeliest first
    earlier: str = ""  # what was said and done before in a session, in short; "": nothing
    submodules: Sequence[str] = ()  # their paths
    limits: Limits | None = None  # of each turn of a session; None: there are no turns


@dataclass(frozen=True, slots=True)
class MessagePart:
    """A piece of the message."""

    text: str
    elastic: bool = False  # may be shortened
    vital: bool = False  # if elastic, is shortened after all the other elastic parts


def write_first_message(facts: MessageFacts, profile: Profile, max_bytes: int | None) -> str:
    """Write the message in the order that fits the model. Over `max_bytes`, elastic parts are shortened; None: there is no bound."""
    parts = small_model_message(facts, profile) if profile.fill_tokens else standard_message(facts)
    return join_within(parts, max_bytes)


def write_session_message(facts: MessageFacts, profile: Profile) -> str:
    """Write the first message of a session, or the first after its earlier messages were left out. It ends with the person's words."""
    if profile.fill_tokens:
        return join_within(small_model_message(facts, profile), None)
    checks = "When files were changed, these checks decide: " + "; ".join(f"`{check}`" for check in facts.task.checks)
    parts = [
        *_rules(facts.rules),
        MessagePart(list_files(facts.paths, facts.submodules)),
        MessagePart(checks if facts.task.checks else ""),
        MessagePart(_describe_limits(facts.limits) if facts.limits else ""),
        MessagePart(_earlier(facts.earlier)),
        MessagePart(facts.task.instruction),
    ]
    return join_within(parts, None)


def join_within(parts: Sequence[MessagePart], max_bytes: int | None) -> str:
    """Join the parts that are not empty. Over `max_bytes`, elastic ones are shortened or left out: the longest first, vital ones last."""
    texts = [part.text for part in parts]
    elastic = [index for index, part in enumerate(parts) if part.elastic and part.text]
    while max_bytes is not None and elastic and (over := utf8_size(_join(texts)) - max_bytes) > 0:
        longest = max(elastic, key=lambda index: (not parts[index].vital, utf8_size(texts[index])))
        elastic.remove(longest)
        left = utf8_size(texts[longest]) - over - _MARK_BYTES
        texts[longest] = truncate_middle(texts[longest], max_lines=len(texts[longest]), max_bytes=left) if left >= _LEAST_BYTES else ""
    return _join(texts)


def standard_message(facts: MessageFacts) -> list[MessagePart]:
    """What stays the same from attempt to attempt comes first, so that providers can cache it."""
    task = facts.task
    checks = "These checks decide: " + "; ".join(f"`{check}`" for check in task.checks)
    attempts = f"Earlier attempts:\n{describe_attempts(facts.attempts)}" if facts.attempts else ""
    return [
        MessagePart(f"Task: {task.instruction}"),
        MessagePart(checks if task.checks else ""),
        *_rules(facts.rules),
        MessagePart(list_files(facts.paths, facts.submodules), elastic=True),
        MessagePart(str(facts.remaining or "")),
        MessagePart(_gates(facts.feedback), elastic=True),
        MessagePart(attempts, elastic=True),
        MessagePart(_notes(facts.notes)),
    ]


def small_model_message(facts: MessageFacts, profile: Profile) -> list[MessagePart]:
    """Small models do best with the files first, then what the checks print, then the task and the form of the answer."""
    shown = [MessagePart(_show(file)) for file in reversed(facts.files)]
    files = shown or [MessagePart(list_files(facts.paths, facts.submodules), elastic=True)]
    printed = f"The checks print:\n```\n{facts.checks_output}\n```" if facts.checks_output else ""
    return [
        *_rules(facts.rules),
        *files,
        MessagePart(printed, elastic=True),
        MessagePart(_notes(facts.notes)),
        MessagePart(_earlier(facts.earlier)),
        MessagePart(f"Task: {facts.task.instruction}"),
        MessagePart(_describe_likely(facts)),
        MessagePart(_ask_small_model(facts, profile)),
    ]


def _describe_likely(facts: MessageFacts) -> str:
    names, lines = ", ".join(f"`{name}`" for name in facts.likely), "\n".join(facts.likely_lines)
    where = [f"Where the bug may be, the likeliest first: {names}."] if names else []
    if lines:
        where.append(f"The likeliest {'lines, the best first' if len(facts.likely_lines) > 1 else 'line'}:\n{_fence(lines)}")
    return " ".join(where)


def _ask_small_model(facts: MessageFacts, profile: Profile) -> str:
    """Say what is wanted. A small model that is told what to do with a question and with a task does the second with both."""
    task = facts.task
    if not task.checks and is_question(task.instruction):
        return prompt("question")
    wish = "first_unchecked" if not task.checks else "first_lines" if answers_in_lines(profile) else "first"
    return f"{prompt(wish)} {answer_form(facts.files, profile)}"


def is_question(text: str) -> bool:
    """Return whether a text asks for an answer, and not for a change: "where is f?", "explain f", but not "can you mend f?"."""
    polite = _POLITE.match(text)
    asked = text[polite.end() :] if polite else text
    return bool(_ASKS.match(asked)) or (not polite and text.rstrip().endswith("?"))


def answer_form(shown: Sequence[ShownFile], profile: Profile) -> str:
    """Describe how the answer should look: the lines that change, for a profile that writes with their numbers; else a function where all
    shown files are Python, or one is shown in parts; else a whole file.

    The function is asked for in a ```python block, which small models have seen most of. Of several files the likeliest is named, because
    a small model copies what stands there word for word.
    """
    path = shown[0].path if shown else "PATH"
    if answers_in_lines(profile):
        return prompt("answer_lines").replace("{path}", path)
    of_functions = all(file.path.endswith(".py") for file in shown) or any(not file.whole for file in shown)
    function = tools.DEFINE in tools.select_tools(profile) and of_functions
    what, block = ("function", "```python") if shown and function else ("file", f"```{tools.WRITE.name} {path}")
    return prompt("answer").replace("{what}", what).replace("{block}", block)


def answers_in_lines(profile: Profile) -> bool:
    """Return whether a model writes the lines that change after their numbers, so that it has to be shown the numbers."""
    return tools.REPLACE in tools.select_tools(profile)


def _rules(rules: Rules) -> list[MessagePart]:
    """Return the parts that show instructions. The user's own are the same in all attempts, so they never pass the bound."""
    user = f"The user's own instructions:\n{rules.user}" if rules.user else ""
    skills = "\n".join(rules.skills)
    more = len(rules.nested) - LISTED_RULES
    listed = "\n".join(rules.nested[:LISTED_RULES]) + (f"\n… and {more} more" if more > 0 else "")
    nested = f"More instructions; each is shown with the first tool call that touches its folder:\n{listed}" if rules.nested else ""
    return [
        MessagePart(user),
        MessagePart(describe_rules(rules.files), elastic=True, vital=True),
        MessagePart(f"Skills; read the file of one that fits the task before you begin:\n{skills}" if skills else "", elastic=True),
        MessagePart(nested, elastic=True),
    ]


def _gates(feedback: str) -> str:
    text = truncate_middle(feedback, max_lines=80, max_bytes=GATES_BYTES)
    return f"What the gates say of the files as they are now:\n{text}" if text else ""


def _notes(notes: str) -> str:
    return f"{prompt('hints')}\n<notes>\n{notes}\n</notes>" if notes else ""


def _describe_limits(limits: Limits) -> str:
    money = "" if limits.usd is None else f", {format_usd(limits.usd)}"
    return f"Each turn has at most {limits.steps} steps, {limits.tokens:,} tokens, {limits.seconds:,.0f} seconds{money}."


def _earlier(text: str) -> str:
    return f"What was said and done before, in short:\n{text}" if text else ""


def _show(file: ShownFile) -> str:
    return f"{'' if file.whole else 'Parts of '}{file.path}:\n{_fence(file.text.rstrip())}"


def _fence(text: str) -> str:
    """Put a text in a block whose fence the text does not have itself."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"^`{3,}", text, re.MULTILINE)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _join(texts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, texts))
