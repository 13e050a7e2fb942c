"""Closed vocabularies: all words of an environment, for a small model that knows no others."""

from __future__ import annotations

from collections.abc import Sequence

from codagent.types import Message

BEGIN, END = "<notes>", "</notes>"
NOTES_WORDS = 4  # that notes have
# words of all environments
NOTHING = "?"  # of notes that say nothing
NOTES = "@notes"  # stands before the notes
WRITE = "@write"  # asks for notes
NO_NOTES = " ".join([NOTHING] * NOTES_WORDS)


class Vocabulary:
    """A Tokenizer of words that are separated by spaces. A token's id is the place of its word in `words`.

    `answers` end a reply and have the first ids. `notable` words may stand in notes. `marks` are only read. Text that is none of these
    words is skipped, so it costs the model nothing.
    """

    def __init__(self, answers: Sequence[str], notable: Sequence[str], marks: Sequence[str]) -> None:
        self.answers, self.notable, self.marks = tuple(answers), tuple(notable), tuple(marks)
        self.words = (*answers, *notable, *marks)
        self.ends = frozenset(range(len(answers)))
        self._ids = {word: number for number, word in enumerate(self.words)}
        self._notable = range(len(answers), len(answers) + len(notable))

    def encode(self, messages: Sequence[Message], /) -> tuple[int, ...]:
        return tuple([self._ids[word] for message in messages for word in message.content.split() if word in self._ids])

    def encode_reply(self, text: str, /) -> tuple[int, ...]:
        return tuple(self._ids[word] for word in text.removeprefix(BEGIN).removesuffix(END).split())

    def decode(self, ids: Sequence[int], /) -> str:
        """Return the text of a reply. Words that may all stand in notes are written between the tags of notes."""
        text = " ".join([self.words[number] for number in ids])
        return f"{BEGIN}{text}{END}" if all(number in self._notable for number in ids) else text


def join_vocabularies(vocabularies: Sequence[Vocabulary]) -> Vocabulary:
    """Return a vocabulary with the words of all. A word must have the same use in all that have it."""
    if len(vocabularies) == 1:
        return vocabularies[0]
    parts = zip(*((vocabulary.answers, vocabulary.notable, vocabulary.marks) for vocabulary in vocabularies), strict=True)
    answers, notable, marks = (tuple(dict.fromkeys(word for words in part for word in words)) for part in parts)
    return Vocabulary(answers, notable, marks)
