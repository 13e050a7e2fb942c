"""Splits a command line into commands and words, as the simulated shells do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from codagent_train.environments.domains.terminal.simulator.computer import Computer, ShellError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_WINDOWS_VARIABLE = re.compile(r"%(\w+)%")


def split_line(line: str) -> list[tuple[str, str]]:
    """Split a line at `&&` and `;`. Returns each command with what stands before it. ShellError for pipes and redirections."""
    commands, before, current, quote, at = [], "", "", "", 0
    while at < len(line):
        char, two = line[at], line[at : at + 2]
        if quote or char in "'\"":
            quote = "" if char == quote else quote or char
        elif char in "|<>":
            raise ShellError("pipes and redirections are not supported")
        elif char == ";" or two == "&&":
            commands.append((before, current.strip()))
            before, current = (";", "") if char == ";" else ("&&", "")
            at += len(before)
            continue
        current += char
        at += 1
    return [*commands, (before, current.strip())]


def split_words(command: str, computer: Computer) -> list[str]:
    """Split a command into words, with variables replaced. On Windows quotes stay part of a word."""
    here = computer.show_path(computer.cwd)
    home = computer.show_path(computer.home)
    if computer.is_windows:
        known = {"USERPROFILE": home, "USERNAME": computer.user, "CD": here}
        return _WINDOWS_VARIABLE.sub(lambda found: known.get(found[1].upper(), found[0]), command).split()
    known = {"HOME": home, "USER": computer.user, "PWD": here}
    try:
        return shlex.split(_VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), command))
    except ValueError as error:
        raise ShellError(f"syntax error: {str(error).lower()}") from error


def take_options(words: Sequence[str], known: Collection[str]) -> tuple[set[str], list[str]]:
    """Split the words after a command into the letters of its options and the others. ShellError for an option that is not `known`."""
    options = {letter for word in words if word.startswith("-") and len(word) > 1 for letter in word[1:]}
    if unknown := options.difference(known):
        raise ShellError(f"unknown option -{min(unknown)}")
    return options, [word for word in words if not word.startswith("-") or len(word) == 1]
