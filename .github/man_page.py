"""Writes the manual page of `codagent` from the help of its commands: python .github/man_page.py > .github/codagent.1"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from codagent import __version__
from codagent.cli.app import app

ENVIRONMENT = {
    "CODAGENT_MODEL, CODAGENT_EFFORT, CODAGENT_SANDBOX, CODAGENT_MAX_*": "stand for the options of these names",
    "CODAGENT_API_KEY": "the key of an OpenAI-compatible endpoint; a provider has a variable of its own, such as ANTHROPIC_API_KEY",
    "NO_COLOR": "no colour on a terminal",
    "DOCKER_HOST": "the container engine",
}
FILES = {
    "~/.config/codagent/config.toml": "your settings",
    "~/.config/codagent/AGENTS.md": "your instructions for agents",
    "codagent.toml": "the settings of a repository",
    ".codagent/": "records, notes and verdicts of a repository",
}


def write_page() -> str:
    """Return the page in the man macros."""
    return "\n".join([f'.TH CODAGENT 1 "" "codagent {__version__}" "codagent manual"', *_describe(get_command(app))]) + "\n"


def _describe(program: Any) -> Iterator[str]:
    summary, _, rest = program.help.partition("\n\n")
    yield from (".SH NAME", _escape(f"codagent - {summary.rstrip('.').removeprefix('A ')}"))
    yield from (".SH SYNOPSIS", r"\fBcodagent\fR [\fICOMMAND\fR] [\fIOPTIONS\fR]", ".br", r"\fBcodagent\fR \fITASK\fR")
    yield from (".SH DESCRIPTION", _escape(rest))
    yield ".SH COMMANDS"
    for name, command in sorted(program.commands.items()):
        for path, one in (
            [(name, command)] if not hasattr(command, "commands") else ((f"{name} {sub}", c) for sub, c in command.commands.items())
        ):
            yield from _describe_command(f"codagent {path}", one)
    for title, entries in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        yield f".SH {title}"
        for name, what in entries.items():
            yield from (".TP", rf"\fB{_escape(name)}\fR", _escape(what))
    yield from (
        ".SH EXIT STATUS",
        "0 done; 2 wrong usage; 3 not done; 4 model; 5 sandbox; 6 repository; 7 record; 8 a limit; 130 interrupted.",
    )


def _describe_command(path: str, command: Any) -> Iterator[str]:
    arguments = " ".join(
        parameter.make_metavar(command.make_context(path, [], resilient_parsing=True))
        for parameter in command.params
        if parameter.param_type_name == "argument"
    )
    yield from (".SS", rf"\fB{_escape(path)}\fR \fI{_escape(arguments)}\fR".removesuffix(r" \fI\fR"))
    for paragraph in filter(None, (*(command.help or "").split("\n\n"), command.epilog)):
        yield from (".PP", _escape(" ".join(paragraph.split())))
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            yield from (".TP", rf"\fB{_escape(', '.join((*option.opts, *option.secondary_opts)))}\fR", _escape(option.help or ""))


def _escape(text: str) -> str:
    """Return a text as troff takes it: hyphens are those of options, and no line begins with a dot."""
    text = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(write_page(), end="")
