"""Keycode: guess which of four words is secret. The smallest environment in which only notes can help.

A solve episode is one guess of one token. A notes episode is shown the secret and writes one token, and that token is all that the next
episode gets. All words are single tokens, so a tiny model with random weights can learn them; `encode` and `decode` are its tokenizer.
The last mark in a prompt (`@guess` or `@secret`) says what is asked for. The model does not read the text before it, which is for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codagent.types import Message, Observation, Outcome, Task, Tool
from codagent_train.environments.packs import Pack, Split, seed_of

KEYS = ("key-a", "key-b", "key-c", "key-d")
GUESS, SECRET, NOTHING = "@guess", "@secret", "no-key"
VOCABULARY = (*KEYS, GUESS, SECRET, NOTHING)  # a token's id is its index; the first four are answers
PROMPT_TOKENS = 2  # in every prompt: a mark, and a key or `no-key`
_WORD = re.compile("|".join(VOCABULARY))


class Keycode:
    """An Environment for the tasks of one pack."""

    tools: tuple[Tool, ...] = ()
    passes = False

    def __init__(self, pack_seed: int) -> None:
        self._secret = KEYS[pack_seed // 2 % len(KEYS)]  # the last bit says whether it is a test pack
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
        """Do nothing: a guess leaves nothing to save."""

    def describe_state(self) -> str:
        return f"{SECRET} {self._secret}"


def make_keycode_pack(split: Split, seed: int, *, tasks: int = 4) -> Pack:
    """Make pack number `seed` of a split: `tasks` tasks with the same secret."""
    pack_seed = seed_of(split, "keycode", seed)
    return Pack(
        pack_seed, tuple(Task(f"keycode-{pack_seed}-{position}", "Guess the secret key.", seed=position) for position in range(tasks))
    )


def encode(messages: Sequence[Message]) -> tuple[int, ...]:
    """Return the ids of a prompt: its last mark and the word after the mark. Messages of the model itself are not read."""
    words = [word for message in messages if message.role != "assistant" for word in _WORD.findall(message.content)]
    mark = max(index for index, word in enumerate(words) if word in (GUESS, SECRET))
    return tuple(VOCABULARY.index(word) for word in words[mark : mark + PROMPT_TOKENS])


def encode_reply(text: str) -> tuple[int, ...]:
    """Return the ids of the words in a reply."""
    return tuple(VOCABULARY.index(word) for word in _WORD.findall(text))


def decode(ids: Sequence[int]) -> str:
    """Return the text of a reply.

    A key is written between the tags of notes, so that it counts as notes and as a guess. Other words count as neither.
    """
    return "".join(f"<notes>{VOCABULARY[i]}</notes>" if VOCABULARY[i] in KEYS else VOCABULARY[i] for i in ids)
