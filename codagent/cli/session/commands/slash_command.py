"""What a command of a session is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `run` is called with the chat and what follows the name, without spaces around it."""

    name: str
    what: str  # in a few words, for /help
    run: Callable[[Chat, str], None]
    arguments: str = ""  # how they are written; "": there are none


def split_words(text: str) -> list[str]:
    """Split what follows a command at its spaces. Quotes keep a word with spaces together."""
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark or backslash that stands for itself
        return text.split()


def quote_word(word: str) -> str:
    """Write a word so that `split_words` returns it."""
    return word if split_words(word) == [word] else shlex.quote(word)
