"""Text for models and terminals: removes control sequences, shortens long output, formats command results, and bounds tokens by bytes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from codagent.types import CommandResult, Message, Profile, ToolCall

BYTES_PER_TOKEN = 3  # a cautious estimate for text that no server has counted yet
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|[ -/]*[0-~])"  # two-character sequences
)
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\n])", re.MULTILINE)
_MARKS = (0x61C, 0x180E, 0x200B, 0x200C, 0x200E, 0x200F, 0xFEFF)
_RANGES = (range(0x202A, 0x202F), range(0x2060, 0x206A), range(0xFFF9, 0xFFFC), range(0xE0000, 0xE0080))
HIDING_MARKS = "".join(map(chr, chain(_MARKS, *_RANGES)))  # that reorder or hide text
# C0 and C1 controls except tab and newline, and these marks
_CONTROL = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f{HIDING_MARKS}]"
    "|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d|\u200d(?![\u2600-\u27bf\U0001f000-\U0001faff])"  # else it joins two emoji
)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udc7f\udd00-\udfff]")  # a pair, or one that stands for no byte
_MAX_NESTING, _MAX_DIGITS = 100, 300  # of JSON that a model wrote; the digits fit into a float
_MORE = "(more of the output is in "


def sanitize(text: str) -> str:
    """Return the output of a program as a terminal or a model may see it.

    Escape sequences are removed. A line that overwrote itself is reduced to what was visible last. Other control characters are escaped.
    """
    text = _OVERWRITTEN.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n")))
    return strip_controls(text.replace("\r", ""))


def strip_controls(text: str) -> str:
    """Return a text that has foreign parts as a terminal may see it: escape sequences are removed, other control characters escaped.

    A carriage return is escaped, too. Otherwise a foreign part could hide what is before it in the same line.
    """
    text = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def escape_controls(text: str) -> str:
    """Return `text` with all control characters escaped and none removed, for the content of files, where nothing may be hidden."""
    return sanitize(text.replace("\r\n", "\n").replace("\r", "\\r").replace("\x1b", "\\x1b"))


def escape_name(name: str) -> str:
    """Return a foreign name in one line: its line ends are escaped, too, so that it cannot look like a sentence of its own."""
    return escape_controls(name).replace("\n", "\\n")


def join_names(names: Iterable[str], most: int = 20) -> str:
    """List foreign names in a sentence, at most so many, each as `escape_name` returns it."""
    listed = [escape_name(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def split_lines(text: str) -> list[str]:
    """Split a text into lines with their ends. A line ends at LF alone, as it does for git and grep: not at a form feed or U+2028."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def truncate_middle(text: str, *, max_lines: int, max_bytes: int) -> str:
    """Return the head and the tail of `text`, within both limits, with a line between them that says how much is left out.

    Lines are kept or left out as a whole. A line that is longer than half of `max_bytes` is left out.
    """
    lines = split_lines(text)
    total = utf8_size(text)
    if len(lines) <= max_lines and total <= max_bytes:
        return text
    head = _take(lines, max_lines // 2, max_bytes // 2)
    tail = _take(lines[len(head) :][::-1], max_lines - max_lines // 2, max_bytes // 2)[::-1]
    kept_bytes = sum(utf8_size(line) for line in head + tail)
    gap = len(lines) - len(head) - len(tail)
    return "".join([*head, f"[… {gap:,} lines, {total - kept_bytes:,} bytes left out …]\n", *tail])


def find_log(result: str) -> str:
    """Return the file of the sandbox that has the whole output of a command, from its result as the model reads it. "": there is none."""
    return result.partition("\n")[0].partition(_MORE)[2].removesuffix(")")


def format_result(result: CommandResult, profile: Profile) -> str:
    """Return a command's result as the model reads it."""
    text = sanitize(result.output)
    short = truncate_middle(text, max_lines=profile.output_lines, max_bytes=profile.output_bytes)
    status = f"exit {result.exit_code}"
    if result.timed_out:
        status += " (killed at its time limit, with all that it had started)"
    if result.log and (result.omitted_bytes or short != text):
        status += f" {_MORE}{result.log})"
    return f"{status}\n{short}".rstrip("\n")


def count_bytes(message: Message) -> int:
    """Return the bytes of a message, with some for its frame. No tokenizer makes more tokens of a message than that."""
    texts = utf8_size(message.content) + utf8_size(message.provider_data)
    return 16 + texts + sum(len(c.name) + len(c.arguments) + 32 for c in message.tool_calls)


def replace_unencodable(text: str) -> str:
    """Replace lone surrogates by U+FFFD. U+DC80 to U+DCFF stay, because they are bytes that were not UTF-8.

    Two surrogates in a row that are the halves of a character, as a stream may bring them, become that character.
    """
    return _SURROGATES.sub(lambda match: match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), text)


def encode_text(text: str) -> bytes:
    """Encode any text as UTF-8. U+DC80 to U+DCFF become the bytes that they stand for, other lone surrogates become U+FFFD."""
    return replace_unencodable(text).encode(errors="surrogateescape")


def utf8_size(text: str) -> int:
    """Return how many bytes `encode_text` makes of a text."""
    return len(text) if text.isascii() else len(encode_text(text))


def escape_undecodable(text: str) -> str:
    """Escape lone surrogates, as which Python keeps bytes that were not UTF-8, so that the text can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def parse_json(text: str, *, strict: bool = False) -> Any:
    """Parse JSON that a model or a server wrote. Unless `strict`, strings may hold control characters.

    Raises ValueError for text that is not JSON, for a number of very many digits, and for brackets nested so deeply that the value could
    not be printed or written again.
    """
    try:
        value = json.loads(text, strict=strict, parse_int=_parse_integer)
    except RecursionError:
        raise ValueError("too many brackets within each other") from None
    level = [value]
    for _ in range(_MAX_NESTING):
        level = [part for item in level if isinstance(item, dict | list) for part in (item.values() if isinstance(item, dict) else item)]
    if any(isinstance(item, dict | list) for item in level):
        raise ValueError("too many brackets within each other")
    return value


def format_usd(usd: float | None, *, decimals: int = 2) -> str:
    """Write an amount of US dollars, one below a cent with at least one digit that is not 0. None: `cost unknown`."""
    if usd is None:
        return "cost unknown"
    if 0 < usd < 0.01:
        decimals = max(4, math.ceil(-math.log10(usd)))
    return f"${usd:,.{decimals}f}"


def read_indent(line: str) -> str:
    """Return what a line is indented by."""
    return line[: len(line) - len(line.lstrip())]


def first_line(text: str, max_chars: int) -> str:
    """Take the first line of a text, at most `max_chars` of it, and mark with "…" that there is more."""
    line, _, rest = text.strip().partition("\n")
    return line[:max_chars] + ("…" if rest or len(line) > max_chars else "")


def describe_iteration(number: int, tries: int, limit: int) -> str:
    """Say which iteration of a loop this is. `tries` counts those at its task, of which `limit` are allowed."""
    return f"iteration {tries} of {limit}" if tries == number else f"iteration {number}, {tries} of {limit} at this task"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 step`, `2 steps`, `2 replies`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} " + (f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s")


def first_argument(call: ToolCall) -> str:
    """Take the first argument of a tool call as text. "": it has none. Arguments that are no JSON object are returned as they are."""
    try:
        return str(next(iter(parse_json(call.arguments).values()), ""))
    except (ValueError, AttributeError):
        return call.arguments


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _take(lines: list[str], max_lines: int, max_bytes: int) -> list[str]:
    taken: list[str] = []
    for line in lines[:max_lines]:
        max_bytes -= utf8_size(line)
        if max_bytes < 0:
            break
        taken.append(line)
    return taken
