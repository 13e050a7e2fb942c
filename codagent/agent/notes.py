"""The rewrite of the notes that one attempt leaves for the next.

The rewrite is an episode like any other, in an environment where the only thing to do is to write; so it is recorded, limited, interrupted
and resumed in the same way. After arXiv 2606.20002, section 3, with two differences: malformed notes are asked for once more and then
leave the old notes in place, and the state that the attempt left is shown.
"""

from __future__ import annotations

import re
from dataclasses import replace

from codagent.agent.episode import Agent, run_episode
from codagent.prompts import prompt
from codagent.protocols import NotesPrompter
from codagent.pytest_output import summarize_pytest
from codagent.text import BYTES_PER_TOKEN, encode_text, sanitize, truncate_middle
from codagent.types import Episode, Message, Observation, Outcome, Profile, Step, Task, Tool

MALFORMED = -0.1  # the reward of an episode that left no notes
ATTEMPTS = 2
THINKING_TOKENS = 400
_BYTES_PER_WORD = 7
_ANSWER_BYTES = 300  # of what came back for a step; the gates' words are shown by themselves
_COMPARED = re.compile(r"^E +(?:AssertionError: )?assert (.+) == (.+)$", re.MULTILINE)
_NOTES = re.compile(r"<notes>(.*?)</notes>", re.DOTALL)


def rewrite_notes(agent: Agent, episode: Episode, solved: Episode, account: str, prompter: NotesPrompter | None = None) -> Episode:
    """Run the notes episode that follows the attempt `solved`, which left the state `account`.

    `prompter` asks for the notes in its own words; None: they are asked for in the words for a repository.

    Returns the episode with the notes to carry on in `notes_after`. Notes hold at most the profile's `notes_tokens`, counted cautiously as
    `BYTES_PER_TOKEN` bytes each.
    """
    profile = agent.profile
    writing = Rewrite(solved, account, profile, prompter)
    sampling = replace(profile.sampling, max_tokens=min(profile.sampling.max_tokens, profile.notes_tokens + THINKING_TOKENS))
    writer = replace(agent, profile=replace(profile, steps=ATTEMPTS, sampling=sampling, goes_on=False))
    episode = run_episode(writer, writing, episode)
    return replace(episode, outcome=writing.grade(), notes_after=writing.notes)


def bound_notes(text: str, max_tokens: int) -> str:
    """Remove control characters from notes and cut them to the bound, whoever wrote them."""
    return truncate_middle(_clean(text), max_lines=len(text) + 1, max_bytes=max_tokens * BYTES_PER_TOKEN).strip()


class Rewrite:
    """An Environment in which notes are written. `notes` are the old notes until well-formed ones have come.

    A model whose profile has no memory of its steps is shown only what came of them. A small model is shown what was expected and what
    came, and not its old notes, which it would copy word for word. What it writes is added before the old notes, as far as both fit.
    """

    tools: tuple[Tool, ...] = ()
    passes = False

    def __init__(self, solved: Episode, account: str, profile: Profile, prompter: NotesPrompter | None = None) -> None:
        self._solved, self._account, self._profile, self._prompter = solved, account, profile, prompter
        self._max_bytes = profile.notes_tokens * BYTES_PER_TOKEN
        self._is_small = profile.prompt == "small"
        self._trouble = "no answer came"
        self.notes = ""

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        self.notes = notes
        if self._prompter:
            max_bytes = (self._profile.context_tokens - self._profile.sampling.max_tokens) * BYTES_PER_TOKEN
            return self._prompter.ask_for_notes(self._solved, max_words=self._max_words, max_bytes=max_bytes)
        room, outcome = self._profile.output_bytes // 3, self._solved.outcome
        small = self._is_small
        feedback = "nothing, it was not judged" if outcome is None else outcome.feedback
        parts = {
            "Task": task.instruction,
            "Old notes": "" if small else notes or "none",
            "The attempt": "" if self._profile.memory == 0 else _describe_attempt(self._solved, room),
            "What it changed": self._account,
            "What the gates say": (small and compare_values(feedback)) or summarize_pytest(feedback),
            "Reward": f"{outcome.reward:.2f} of 1" if outcome else "",
        }
        text = [f"{name}: {truncate_middle(sanitize(part), max_lines=400, max_bytes=room).strip()}" for name, part in parts.items() if part]
        return Message("system", self._prompt("notes")), Message("user", "\n\n".join([*text, self._form()]))

    def step(self, message: Message) -> Observation:
        found = _NOTES.search(message.content)
        tags = [message.content.count(tag) for tag in ("<notes>", "</notes>")]
        text = _clean(found[1]) if found and tags == [1, 1] else ""
        size = len(text.encode())
        if text and size <= self._max_bytes:
            self.notes, self._trouble = _add_facts(text, self.notes, self._max_bytes) if self._is_small else text, ""
            return Observation((), "finished")
        self._trouble = f"the notes are too long, by {size - self._max_bytes:,} bytes" if text else _malformed_reason(found, tags)
        return Observation((Message("user", f"error: {self._trouble}. {self._form()}"),))

    def grade(self) -> Outcome:
        return Outcome(MALFORMED if self._trouble else 0.0, not self._trouble, self._trouble)

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: the caller reads `notes`."""

    def describe_state(self) -> str:
        return self.notes

    def _form(self) -> str:
        """Return what notes have to look like. An environment that asks for notes itself has tasks that are not about code."""
        asked = prompt("rewrite_terse") if self._prompter else self._prompt("rewrite")
        return asked.replace("{words}", str(self._max_words))

    @property
    def _max_words(self) -> int:
        return self._max_bytes // _BYTES_PER_WORD

    def _prompt(self, name: str) -> str:
        """Read the prompt `name`, in the form for the profile when it has prompts of its own."""
        return prompt(name if self._profile.prompt == "system" else f"{name}_{self._profile.prompt}")


def compare_values(feedback: str) -> str:
    """Return what the gates expected against what they got, a line for each comparison that pytest shows. "": it shows none."""
    pairs = [match.groups() for match in _COMPARED.finditer(feedback)]
    return "\n".join(dict.fromkeys(f"expected {expected}, got {got}" for got, expected in pairs))


def _add_facts(text: str, old: str, max_bytes: int) -> str:
    """Return the new notes followed by the lines of the old ones that they do not repeat, as many as there is room for."""
    lines = text.splitlines()
    for line in old.splitlines():
        if line.strip() and line not in lines and len("\n".join([*lines, line]).encode()) <= max_bytes:
            lines.append(line)
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Remove control characters, and replace what no file of UTF-8 can hold, so that the file says what the record says."""
    return encode_text(sanitize(text)).decode(errors="replace").strip()


def _malformed_reason(found: re.Match[str] | None, tags: list[int]) -> str:
    """`tags` are how often each of the two tags occurs."""
    if found and max(tags) > 1:
        return "<notes> and </notes> must occur only once"
    return "the notes are empty" if found else "there is nothing between <notes> and </notes>"


def _describe_attempt(episode: Episode, room: int) -> str:
    """Describe the steps of an attempt, each within its share of `room` bytes, and why the attempt ended."""
    share = max(200, room // max(1, len(episode.steps)) - _ANSWER_BYTES)
    lines = [_step(number, step, share) for number, step in enumerate(episode.steps, 1)]
    return "\n".join([*lines, f"It ended: {episode.end}. {episode.cause}".rstrip()])


def _step(number: int, step: Step, share: int) -> str:
    written = [step.reply.message.content, *(f"[{call.name}] {call.arguments}" for call in step.reply.message.tool_calls)]
    answers = [message.content for message in step.observation.messages]
    done = truncate_middle("\n".join(filter(None, written)).strip(), max_lines=40, max_bytes=share)
    return f"{number}. {done}\n→ {truncate_middle(chr(10).join(answers).strip(), max_lines=6, max_bytes=_ANSWER_BYTES)}"
