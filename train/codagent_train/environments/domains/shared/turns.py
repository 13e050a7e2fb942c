"""One Environment for all domains: a Game is what a domain adds to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Literal, Protocol

from codagent.types import End, Episode, Message, Observation, Outcome, Task, Tool
from codagent_train.environments import notes_request, vocabulary

Memory = Literal["environment", "notes"]  # what carries facts from task to task: the environment itself, or only the notes
# terse: few tokens, and the bare action as the answer; paper: close to the words of the paper; words: of a closed vocabulary
Wording = Literal["terse", "paper", "words"]
NO_NOTES: Mapping[Wording, str] = {"terse": "(none yet)", "paper": "(none yet)", "words": vocabulary.NO_NOTES}
_REWRITE = {"terse": (__package__, "rewrite_terse"), "paper": ("codagent_train.environments.frozenlake", "paper_rewrite")}
_ANSWER = re.compile(r"<answer>(.*)</answer>", re.DOTALL)


class DomainAttempt(Protocol):
    """One attempt at a task.

    `observe` returns what the player sees before its next answer. `act` takes an answer and returns why the attempt is over; None while it
    goes on. `describe_state` describes the state after the last answer. `judge` is asked at the end, also when the attempt was broken off.
    """

    def observe(self) -> str: ...
    def act(self, reply: str) -> End | None: ...
    def describe_state(self) -> str: ...
    def judge(self) -> Outcome: ...


class Game(Protocol):
    """The tasks of one pack, as one loop plays them.

    `rules` are for the player, "" in words. `shows_reward` says whether the request for notes names the reward. `forget` removes what the
    environment itself remembers of earlier tasks.
    """

    @property
    def rules(self) -> str: ...
    @property
    def shows_reward(self) -> bool: ...
    def begin(self, task: Task) -> DomainAttempt: ...
    def forget(self) -> None: ...


class TurnEnvironment:
    """An Environment for the tasks of one pack. Each loop has its own.

    With memory "notes", the game forgets everything before each task; with memory "environment", only when a task is given again.
    In the paper's wording, the rules tell the model to keep its answer below `tokens` tokens.
    """

    tools: tuple[Tool, ...] = ()
    passes = False

    def __init__(self, game: Game, wording: Wording, *, memory: Memory = "notes", tokens: int = 1000) -> None:
        self._game, self._wording, self._memory = game, wording, memory
        self._prompt = read_prompt(__package__, f"notes_{wording}").replace("{tokens}", str(tokens))
        self._task: Task | None = None

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        if self._memory == "notes" or task == self._task:
            self._game.forget()
        self._task, self._attempt = task, self._game.begin(task)
        system = self._prompt.replace("{rules}", self._game.rules).replace("{notes}", notes or NO_NOTES[self._wording])
        return Message("system", system), Message("user", self._attempt.observe())

    def step(self, message: Message) -> Observation:
        end = self._attempt.act(message.content)
        return Observation((), end) if end else Observation((Message("user", self._attempt.observe()),))

    def grade(self) -> Outcome:
        return self._attempt.judge()

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: an attempt leaves nothing to save."""

    def describe_state(self) -> str:
        return self._attempt.describe_state()

    def ask_for_notes(self, attempt: Episode, *, max_words: int, max_bytes: int) -> tuple[Message, ...]:
        """Return the request for notes. In words it goes on where the attempt ended."""
        state = self.describe_state()
        if self._wording == "words":
            turns = [message for step in attempt.steps for message in (step.reply.message, *step.observation.messages)]
            return (*attempt.prompt, *turns, Message("user", f"{state} {vocabulary.WRITE}"))
        prompt = read_prompt(*_REWRITE[self._wording]).replace("{words}", str(max_words))
        outcome = attempt.outcome
        if outcome and not self._game.shows_reward:
            attempt, state = replace(attempt, outcome=None), f"{state}\n{outcome.feedback}"
        return notes_request.ask_for_notes(prompt, self._game.rules, attempt, state, max_bytes=max_bytes)


@cache
def read_prompt(package: str, name: str) -> str:
    """Return the text of `prompts/NAME.md` in a package."""
    return resources.files(package).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


def read_answer(reply: str) -> str | None:
    """Return what stands between the only pair of answer tags. None: there is not exactly one pair."""
    match = _ANSWER.search(reply) if reply.count("<answer>") == reply.count("</answer>") == 1 else None
    return match[1].strip() if match else None


def read_line(reply: str, wording: Wording) -> str | None:
    """Return the line of an answer: what stands between its tags in the paper's wording, else its first line. None, "": there is none."""
    return read_answer(reply) if wording == "paper" else reply.strip().split("\n")[0]
