"""What each of the agent's tools does in a sandbox.

Every answer begins with `exit N`, `ok` or `error:`. A wrong call is answered with an error and never raised; only a broken sandbox raises.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from codagent.protocols import Sandbox
from codagent.repository.python_source import find_break
from codagent.repository.tools.numbered import replace_numbered
from codagent.repository.tools.offered import BASH, COMMAND_SECONDS, DEFINE, EVERY, READ_LINES, WRITING, select_tools
from codagent.repository.tools.python_edit import list_definitions, redefine
from codagent.repository.tools.replace import replace_text
from codagent.repository.tools.text_file import TextFile, parse_text
from codagent.text import encode_text, escape_controls, format_result, parse_json, replace_unencodable, split_lines, truncate_middle
from codagent.types import Profile, Tool, ToolCall

MAX_COMMAND_SECONDS = 1200.0

Arguments = Mapping[str, Any]
Do = Callable[[Sandbox, Arguments, Profile], str]


def call(sandbox: Sandbox, wanted: ToolCall, profile: Profile, *, seconds_left: float = MAX_COMMAND_SECONDS) -> str:
    """Carry out the call `wanted`, and return its answer within the profile's output limits. SandboxError when the sandbox is broken."""
    tool = next((tool for tool in select_tools(profile) if tool.name == wanted.name), None)
    if tool is None:
        return f"error: there is no tool {wanted.name!r}; there are {', '.join(tool.name for tool in select_tools(profile))}"
    arguments = _parse(wanted.arguments, tool)
    if isinstance(arguments, str):
        return arguments
    if "\0" in str(arguments.get("path")):
        return f"error: the path for {tool.name} holds a NUL byte"
    try:
        if tool is BASH:
            limit = float(arguments.get("seconds") or COMMAND_SECONDS)
            return format_result(
                sandbox.run(arguments["command"], timeout=max(0.1, min(limit, MAX_COMMAND_SECONDS, seconds_left))), profile
            )
        return _retry_from_root(_DO[tool.name], sandbox, arguments, profile)
    except OSError as error:  # a path that is missing, a directory or forbidden, or a full disk
        return f"error: {arguments.get('path', wanted.name)}: {(error.strerror or str(error)).lower()}"


def written_paths(wanted: ToolCall, answer: str) -> tuple[str, ...]:
    """Return the path that a call has written, as its answer names it. (): it has written none."""
    match = re.match(r"ok (?:wrote )?(.*?)(?: \(|: )", answer)
    return (match[1],) if wanted.name in WRITING and match else ()


def touched_paths(wanted: ToolCall, answer: str) -> tuple[str, ...]:
    """Return the paths that a call has read or written; of a command, its words, which may be paths. (): it has failed, or is not ours."""
    if answer.startswith("error:") or wanted.name not in [tool.name for tool in EVERY]:
        return ()
    arguments = parse_json(wanted.arguments)
    words = re.findall(r"[^\s'\"`;|&<>()=]+", arguments["command"]) if wanted.name == BASH.name else [arguments.get("path") or ""]
    return (*written_paths(wanted, answer), *words)


def _retry_from_root(do: Do, sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    """Carry out a call on a path, or on the same path without its leading slash if that fails.

    Small models begin paths with a slash, and mean the repository's root.
    """
    try:
        return do(sandbox, arguments, profile)
    except OSError:
        path = str(arguments.get("path") or "")
        if not path.startswith("/"):
            raise
        return do(sandbox, {**arguments, "path": path.lstrip("/")}, profile)


def _read(sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    path = arguments["path"]
    try:
        data = sandbox.read(path)
    except IsADirectoryError:
        return format_result(sandbox.run(f"ls -Ap -- {shlex.quote(path)}", timeout=10), profile)
    content = parse_text(data).text
    if "\0" in content[:8192]:
        return f"error: {path} is binary ({len(data):,} bytes)"
    lines = split_lines(encode_text(content).decode(errors="replace"))
    first = max(1, int(arguments.get("from_line") or 1))
    chosen = lines[first - 1 : first - 1 + max(1, int(arguments.get("lines") or READ_LINES))]
    text = truncate_middle(escape_controls("".join(chosen)), max_lines=profile.output_lines * 2, max_bytes=profile.output_bytes * 2)
    return f"ok {path}, lines {first}-{first + len(chosen) - 1} of {len(lines)}\n{text}".rstrip("\n")


def _edit(sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    return _change(sandbox, arguments["path"], profile, lambda text: replace_text(text, arguments["old"], arguments["new"]))


def _replace(sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    return _change(sandbox, arguments["path"], profile, lambda text: replace_numbered(text, arguments["content"]))


def _change(sandbox: Sandbox, path: str, profile: Profile, change: Callable[[str], tuple[str | None, str]]) -> str:
    """Change a file. A Python file that is none after it is not written for a small model, which would not come back to it."""
    file = parse_text(sandbox.read(path))
    changed, report = change(file.text)
    if changed is None:
        return f"error: {path}: {report}"
    broken = find_break(file.text, changed) if path.endswith(".py") else ""
    if broken and profile.tools:
        return f"error: {path}: nothing was replaced, because the file would not be {broken}"
    return _put(sandbox, path, file, changed) or f"ok {path}: {report}{f'; the file is not {broken} now' if broken else ''}"


def _write(sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    """Write a file. A model that may give definitions may have seen only parts of a Python file, or lose some: what it lacks stays."""
    path = arguments["path"]
    try:
        file = parse_text(sandbox.read(path))
    except OSError:  # there is none, or writing will tell
        file = TextFile("")
    else:
        if path.endswith(".py") and DEFINE in select_tools(profile) and _has_definitions(file.text):
            return _define(sandbox, arguments, profile)
    content = file.match_line_ends(arguments["content"])
    return _put(sandbox, path, file, content) or f"ok wrote {path} ({len(split_lines(content)):,} lines)"


def _define(sandbox: Sandbox, arguments: Arguments, _: Profile) -> str:
    path = arguments["path"]
    try:
        path = _find_defining_file(sandbox, path, list_definitions(arguments["content"]))
        file = parse_text(sandbox.read(path))
        text, names = redefine(file.text, arguments["content"])
    except (SyntaxError, ValueError) as error:
        return f"error: {path} or its new part is not Python ({error})"
    return _put(sandbox, path, file, file.match_line_ends(text)) or f"ok {path}: defined {', '.join(names) or 'what was not there'}"


def _has_definitions(text: str) -> bool:
    """Return whether a text is Python with functions or classes."""
    with suppress(SyntaxError, ValueError):
        return bool(list_definitions(text))
    return False


def _put(sandbox: Sandbox, path: str, file: TextFile, text: str) -> str:
    """Write the text in the encoding of the file that it replaces. Returns an error for the model; "": it was written."""
    try:
        data = file.encode(text)
    except UnicodeEncodeError as error:
        return f"error: {path} is encoded as {file.encoding}, which lacks {text[error.start]!r}; write that in another way"
    sandbox.write(path, data)
    return ""


def _find_defining_file(sandbox: Sandbox, path: str, names: tuple[str, ...]) -> str:
    """Return the only Python file that defines any of `names`, because small models often name the wrong file. Else return `path`."""
    pattern = rf"^ *(async )?(def|class) +({'|'.join(names)})\b"
    result = sandbox.run(f"git grep --untracked -lE {shlex.quote(pattern)} -- '*.py'", timeout=30)
    files = result.output.splitlines() if names and result.exit_code == 0 else []
    return files[0] if len(files) == 1 else path


def _search(sandbox: Sandbox, arguments: Arguments, profile: Profile) -> str:
    pattern, path = shlex.quote(arguments["pattern"]), shlex.quote(arguments.get("path") or ".")
    command = (
        "if command -v rg >/dev/null; then rg --line-number --no-heading --with-filename --hidden --glob '!.git'"
        " --max-columns 300 --sort path"
        f" -e {pattern} -- {path}; else grep -rnE --exclude-dir=.git -e {pattern} -- {path}; fi"
    )
    result = sandbox.run(command, timeout=30)
    return "exit 1\nnothing found" if result.exit_code == 1 and not result.output else format_result(result, profile)


_DO: Mapping[str, Do] = {
    "read": _read,
    "edit": _edit,
    "replace": _replace,
    "write": _write,
    "define": _define,
    "search": _search,
}


def _parse(raw: str, tool: Tool) -> dict[str, Any] | str:
    """Return the arguments as the tool expects them, or an error message for the model. Halves of a character become U+FFFD."""
    try:
        arguments = parse_json(raw or "{}")
    except ValueError as error:
        return (
            f"error: the arguments of {tool.name} are not whole or not valid JSON ({error}); if the reply was cut off, do less in one call"
        )
    if not isinstance(arguments, dict):
        return f"error: the arguments of {tool.name} are not a JSON object"
    properties: Mapping[str, Any] = tool.parameters["properties"]
    for key in tool.parameters["required"]:
        if not isinstance(arguments.get(key), str):
            return f"error: {tool.name} needs {key!r}, a string"
    for key, value in arguments.items():
        if key in properties and properties[key]["type"] == "integer" and not re.fullmatch(r"\d{1,9}", str(value or 0)):
            return f"error: {key!r} of {tool.name} must be a whole number of at most 9 digits, not {repr(value)[:60]}"
        if key in properties and properties[key]["type"] == "string" and not isinstance(value, str | None):
            return f"error: {key!r} of {tool.name} must be a string"
    return {key: replace_unencodable(value) if isinstance(value, str) else value for key, value in arguments.items()}
