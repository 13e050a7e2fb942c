"""Text for models and terminals: control sequences made harmless, long output cut between lines, results shown, tokens bounded by bytes."""

from __future__ import annotations

import json
import re

from codagent.types import CommandResult, Message, Profile, Reply, ToolCall

BYTES_PER_TOKEN = 3  # cautious, for text that the server has not counted yet
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|[ -/]*[0-~])"  # two-character sequences
)
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\n])", re.MULTILINE)
# C0 and C1 controls but tab and newline, and the marks that reorder or hide text
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_TELLING = re.compile(r"[$>] |E  |exit \d|_{3,} |FAILED |ERROR |\d+ (failed|passed|error)|    def test")


def harmless(text: str) -> str:
    """`text` as a terminal or a model may see it: no escape sequences, a line that overwrote itself as it last stood, controls spelt."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    text = _OVERWRITTEN.sub("", text)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r", ""))


def spelt(text: str) -> str:
    """`text` with what `harmless` would take out spelt instead: for files, where nothing that is there may be hidden."""
    return harmless(text.replace("\r\n", "\n").replace("\r", "\\r").replace("\x1b", "\\x1b"))


def shorten(text: str, *, max_lines: int, max_bytes: int) -> str:
    """The head and tail of `text` within both limits, whole lines only, with a line between them that says what is missing.

    A line that alone passes half of `max_bytes` is left out whole.
    """
    lines = text.splitlines(keepends=True)
    total = len(text.encode(errors="surrogateescape"))
    if len(lines) <= max_lines and total <= max_bytes:
        return text
    head = _take(lines, max_lines // 2, max_bytes // 2)
    tail = _take(lines[len(head) :][::-1], max_lines - max_lines // 2, max_bytes // 2)[::-1]
    kept = sum(len(line.encode(errors="surrogateescape")) for line in head + tail)
    gap = len(lines) - len(head) - len(tail)
    return "".join([*head, f"[… {gap:,} lines, {total - kept:,} bytes left out …]\n", *tail])


def show(result: CommandResult, profile: Profile) -> str:
    """A command's result as the model reads it."""
    text = harmless(result.output)
    short = shorten(text, max_lines=profile.output_lines, max_bytes=profile.output_bytes)
    status = f"exit {result.exit_code}"
    if result.timed_out:
        status += " (killed at its time limit, with all that it had started)"
    if result.log and (result.omitted_bytes or short != text):
        status += f" (more of the output is in {result.log})"
    return f"{status}\n{short}".rstrip("\n")


def gist(output: str) -> str:
    """What matters of a failing pytest run: the tests' lines, the errors, the summary. Other output stays as it is."""
    lines = output.splitlines()
    return "\n".join(filter(_TELLING.match, lines)) if any(line.startswith("E  ") for line in lines) else output


def counted(reply: Reply) -> int:
    """Tokens of a request and its reply together, which the next request begins with."""
    return reply.prompt_tokens + reply.completion_tokens


def size(message: Message) -> int:
    """Bytes of a message's text, with a little for its frame; no tokenizer makes more tokens than that."""
    return 16 + len(message.content.encode(errors="surrogateescape")) + sum(len(c.name) + len(c.arguments) + 32 for c in message.tool_calls)


def escape_undecodable(text: str) -> str:
    """Escape lone surrogates, as which Python keeps bytes that were not UTF-8, so that the text can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def first_line(text: str, max_chars: int) -> str:
    """Take the first line of a text, at most `max_chars` of it, and mark with "…" that there is more."""
    line, _, rest = text.strip().partition("\n")
    return line[:max_chars] + ("…" if rest or len(line) > max_chars else "")


def first_argument(call: ToolCall) -> str:
    """Take the first argument of a tool call as text. "": it has none. Arguments that are no JSON object are returned as they are."""
    try:
        return str(next(iter(json.loads(call.arguments, strict=False).values()), ""))
    except (ValueError, AttributeError, RecursionError):  # RecursionError: a model may write a thousand brackets
        return call.arguments


def _take(lines: list[str], max_lines: int, max_bytes: int) -> list[str]:
    taken: list[str] = []
    for line in lines[:max_lines]:
        max_bytes -= len(line.encode(errors="surrogateescape"))
        if max_bytes < 0:
            break
        taken.append(line)
    return taken
