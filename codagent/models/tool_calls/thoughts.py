"""Separates what a model thought from what it said. A call that stands in thoughts was weighed and not made, so it is never carried out."""

from __future__ import annotations

import re

from codagent.text import parse_json

_WORD = r"(?:seed:)?(?:think|thinking|thought)"
# A tag between backticks is spoken of.
_OPEN, _CLOSE = rf"(?<!`)(?:<{_WORD}>|\[THINK\]|◁think▷)", rf"(?<!`)(?:</{_WORD}>|\[/THINK\]|◁/think▷)"
# A tag inside a call is a part of its arguments. A second opening within it shows that the first one was not closed.
_CALL = r"<(?P<tag>tool_call|function_calls?|invoke|function)\b[^>]*>(?:(?!<(?P=tag)\b).)*?</(?P=tag)>"
_FENCE = r"^(?P<fence>`{3,})[^`\n]*\n(?:(?!(?P=fence)[^`\s]).*\n)*?(?P=fence)`*[ \t]*$"
_MARK = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})|(?s:{_CALL})|{_FENCE}", re.IGNORECASE | re.MULTILINE)
_TAG, _END = re.compile(f"{_OPEN}|{_CLOSE}", re.IGNORECASE), re.compile(_CLOSE, re.IGNORECASE)


def remove_thoughts(text: str) -> str:
    """Return a reply without its thoughts. A reply that has none is returned as it is.

    Thoughts stand between two tags. They end with the reply when the second tag is missing, and begin with the reply when the first one
    is, because some chat templates write the first tag into the prompt. What stands before any further second tag is thoughts, too.
    """
    if not _TAG.search(text) or _is_json(text):
        return text
    kept: list[str] = []
    at = 0
    while mark := _MARK.search(text, at):
        if mark["close"]:
            kept, at = [], mark.end()
        elif mark["open"]:
            kept.append(text[at : mark.start()])
            end = _END.search(text, mark.end())
            at = end.end() if end else len(text)
        else:
            kept.append(text[at : mark.end()])
            at = mark.end()
    rest = "".join([*kept, text[at:]])
    return text if rest == text else rest.strip()


def _is_json(text: str) -> bool:
    """Whether the whole reply is one JSON value, in which a tag is a part of a string."""
    try:
        return isinstance(parse_json(text), dict | list)
    except ValueError:
        return False
