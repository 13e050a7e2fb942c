"""HTML that is safe by construction: a `str` is text and gets escaped, only `tag` makes markup."""

from __future__ import annotations

import html

from codagent.text import sanitize


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *parts: str, **attributes: str) -> Html:
    """One element; `class_` and `aria_label` are its attributes class and aria-label."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{told}>{''.join(map(text, parts))}</{name}>")


def text(part: str) -> Html:
    """`part` as a page may hold it: escaped, controls harmless, bytes that were no UTF-8 spelt; markup stays what it is."""
    if isinstance(part, Html):
        return part
    return Html(html.escape(sanitize(part).encode("utf-8", "backslashreplace").decode()))


def join(parts: list[Html]) -> Html:
    return Html("".join(parts))
