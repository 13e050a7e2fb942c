"""Names and values as they stand in a query."""

from __future__ import annotations

import re
import string

PLAIN = set(string.ascii_letters + string.digits + "-._~")
CODE = re.compile(r"%[0-9A-Fa-f]{2}")


def encode(text: str) -> str:
    """`text` with nothing in it that a query gives a meaning to."""
    return "".join(character if character in PLAIN else code(character) for character in text)


def code(character: str) -> str:
    if character == " ":
        return "+"
    return "".join(f"%{byte:02X}" for byte in character.encode())


def decode(text: str) -> str:
    """The text that was encoded; a '%' without two hexadecimal digits after it stays as it is."""
    decoded: list[str] = []
    at = 0
    while at < len(text):
        if CODE.match(text, at):
            decoded.append(chr(int(text[at + 1 : at + 3], 16)))
            at += 3
        elif text[at] == "+":
            decoded.append(" ")
            at += 1
        else:
            decoded.append(text[at])
            at += 1
    return "".join(decoded)
