"""What Tab completes: commands at the start of a line, and files after @."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from codagent.cli.session.view.ink import clean

_MOST = 50


class SessionCompleter(Completer):
    """Completes `/com` to a command, and `@fi` to a path that has these letters in it."""

    def __init__(self, commands: Callable[[], Mapping[str, str]], files: Callable[[], Iterable[str]]) -> None:
        """`commands` are names with what they do, `files` are paths."""
        self._commands, self._files = commands, files

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002 - the same for each
        text = document.text_before_cursor
        if re.fullmatch(r"/[\w-]*", text):
            for name, what in self._commands().items():
                if name.startswith(text[1:]):
                    yield Completion(f"/{name}", start_position=-len(text), display_meta=what)
        elif match := re.search(r"(?:^|\s)@([^\s@]*)$", text):
            word = match[1]
            for path in rank_paths(self._files(), word)[:_MOST]:
                yield Completion(f'"{path}"' if " " in path else path, start_position=-len(word))


def rank_paths(paths: Iterable[str], word: str) -> list[str]:
    """Return the paths that have the word in them: first those that begin with it, then those whose name does."""
    low = word.lower()
    found = [path for path in paths if low in path.lower() and clean(path) == path]  # no path that plays tricks on the terminal
    return sorted(found, key=lambda path: (not path.lower().startswith(low), not path.rpartition("/")[2].lower().startswith(low), path))
