"""The text of a file together with what an edit has to leave as it is: encoding, line ends, last line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codagent.text import encode_text

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BYTE_ENCODINGS = ("cp1252", "latin-1")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file as text.

    `mark` is the byte order mark that it begins with, which is not in `text`. Bytes that the encoding does not have are surrogates.
    """

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""

    @property
    def line_end(self) -> str | None:
        """What every line of the file ends with. None: the lines end differently, or there is no line end."""
        return find_line_end(self.text)

    def encode(self, text: str) -> bytes:
        """Encode a text that takes the place of the file's. Raises UnicodeEncodeError for a character that the encoding lacks."""
        data = encode_text(text) if self.encoding == "utf-8" else text.encode(self.encoding, "surrogateescape")
        return self.mark + data

    def match_line_ends(self, text: str) -> str:
        """Give a text that takes the place of the file's its line ends, and the newline at its end if the file has one or is empty."""
        end = self.line_end
        fitted = text if end is None else set_line_ends(text, end)
        complete = not fitted or fitted.endswith("\n") or (self.text and not self.text.endswith("\n"))
        return fitted if complete else fitted + (end or "\n")


def parse_text(data: bytes) -> TextFile:
    """Find out the encoding of a file from its mark or its bytes.

    What is not UTF-8, and has no character of UTF-8 but ASCII, has a byte for each character.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return TextFile(data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict"), encoding, mark)
            except UnicodeDecodeError:
                break
    text = data.decode(errors="surrogateescape")
    if text.isascii() or b"\0" in data or any(char > "\x7f" and not "\udc80" <= char <= "\udcff" for char in text):
        return TextFile(text)
    for encoding in _BYTE_ENCODINGS:
        try:
            return TextFile(data.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue
    return TextFile(text)


def find_line_end(text: str) -> str | None:
    """Return what every line of a text ends with. None: the lines end differently, or there is no line end."""
    lines, long_ends = text.count("\n"), text.count("\r\n")
    return ("\r\n" if long_ends == lines else "\n" if not long_ends else None) if lines else None


def set_line_ends(text: str, end: str) -> str:
    """Return `text` with `end` after every line. A CR alone ends no line."""
    return re.sub("\r?\n", end, text)


def find_text(content: str, wanted: str) -> Iterator[re.Match[str]]:
    """Find a text in a file, whatever the lines of both end with."""
    return re.finditer("\r?\n".join(map(re.escape, re.split("\r?\n", wanted))), content)
