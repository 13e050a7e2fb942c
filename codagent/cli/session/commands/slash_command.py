"""What a command of a session is."""

from __future__ import annotations

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
