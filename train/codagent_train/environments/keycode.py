"""Keycode: guess which of four words is secret, one token a guess. The smallest environment in which only notes can help.

A solve episode gives the one guess that it has; a notes episode is shown the secret and writes one token; nothing else is carried. It is
played in words of one token each, so that a tiny model with random weights can be trained on it: `encode` and `decode` are its tokenizer.
The mark in a prompt says what is wanted, and all before the last mark is for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codagent.types import Message, Observation, Outcome, Task, Tool
from codagent_train.environments.packs import Pack, Split, seed_of

KEYS = ("key-a", "key-b", "key-c", "key-d")
GUESS, SECRET, NOTHING = "@guess", "@secret", "no-key"
VOCABULARY = (*KEYS, GUESS, SECRET, NOTHING)  # a token's id is its place; the first four are answers
PROMPT_TOKENS = 2  # of every prompt: a mark, and a key or nothing
_WORD = re.compile("|".join(VOCABULARY))


class Keycode:
    """An Environment for the tasks of one pack."""

    tools: tuple[Tool, ...] = ()

    def __init__(self, pack_seed: int) -> None:
        self._secret = KEYS[pack_seed // 2 % len(KEYS)]  # the last bit only tells training from tests
        self._guess: str | None = None

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        self._guess = None
        return (Message("user", f"{task.instruction}\n{GUESS} {notes or NOTHING}"),)

    def step(self, message: Message) -> Observation:
        match = _WORD.search(message.content)
        self._guess = match[0] if match else ""
        return Observation((), "finished")

    def grade(self) -> Outcome:
        passed = self._guess == self._secret
        return Outcome(float(passed), passed, "The guess was right." if passed else "The guess was wrong.", () if passed else ("secret",))

    def save_work(self, outcome: Outcome | None) -> None:
        """Nothing of a guess lasts."""

    def describe_state(self) -> str:
        return f"{SECRET} {self._secret}"


def make_keycode_pack(split: Split, seed: int, *, tasks: int = 4) -> Pack:
    """Pack number `seed` of a split: the same secret to be guessed again and again."""
    pack_seed = seed_of(split, "keycode", seed)
    return Pack(
        pack_seed, tuple(Task(f"keycode-{pack_seed}-{position}", "Guess the secret key.", seed=position) for position in range(tasks))
    )


def encode(messages: Sequence[Message]) -> tuple[int, ...]:
    """The ids of a prompt: the last mark in what others than the model said, and the word after it."""
    words = [word for message in messages if message.role != "assistant" for word in _WORD.findall(message.content)]
    mark = max(index for index, word in enumerate(words) if word in (GUESS, SECRET))
    return tuple(VOCABULARY.index(word) for word in words[mark : mark + PROMPT_TOKENS])


def encode_reply(text: str) -> tuple[int, ...]:
    """The ids of a reply."""
    return tuple(VOCABULARY.index(word) for word in _WORD.findall(text))


def decode(ids: Sequence[int]) -> str:
    """The text of a reply. A key stands in the tags of notes, so that it is good as notes and as a guess; other words are neither."""
    return "".join(f"<notes>{VOCABULARY[i]}</notes>" if VOCABULARY[i] in KEYS else VOCABULARY[i] for i in ids)
