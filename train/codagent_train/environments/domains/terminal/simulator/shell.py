"""A terminal that stands on the local computer or, after ssh, on the server: it runs one line at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codagent_train.environments.domains.terminal.simulator.archive_commands import ARCHIVE_COMMANDS
from codagent_train.environments.domains.terminal.simulator.computer import Computer, Folder, Path, ShellError
from codagent_train.environments.domains.terminal.simulator.file_commands import FILE_COMMANDS, place_in
from codagent_train.environments.domains.terminal.simulator.words import split_line, split_words, take_options

_COMMANDS = {**FILE_COMMANDS, **ARCHIVE_COMMANDS}
_ALIASES = {"dir": "ls", "type": "cat", "copy": "cp", "move": "mv", "del": "rm", "ren": "mv", "rename": "mv"}
_NOT_ON_WINDOWS = ("chmod", "touch", "tar", "gzip", "gunzip", "rsync")
_REMOTE = re.compile(r"([\w.-]+)@([\w.-]+):(.*)")


class Shell:
    """Two computers, and the one on which the next command runs."""

    def __init__(self, local: Computer, server: Computer) -> None:
        self.local, self.server, self.here = local, server, local

    def show_prompt(self) -> str:
        """Return the prompt, in the style of the system."""
        here, at = self.here, self.here.show_path(self.here.cwd)
        if here.is_windows:
            return f"{at}>"
        inside = here.cwd[: len(here.home)] == here.home
        shown = "/".join(("~", *here.cwd[len(here.home) :])) if inside else at
        return f"{here.user}@{here.host} {shown} %" if here.system == "macos" else f"{here.user}@{here.host}:{shown}$"

    def run(self, line: str) -> str:
        """Run a line and return its output. What follows an error after `&&` is not run."""
        shown: list[str] = []
        failed = False
        try:
            commands = split_line(line)
        except ShellError as error:
            return str(error)
        for before, command in commands:
            if failed and before == "&&":
                continue
            try:
                shown.append(self._run_one(command))
                failed = False
            except ShellError as error:
                shown.append(f"{command.split()[0]}: {error}" if command.split() else str(error))
                failed = True
        return "\n".join(filter(None, shown))

    def _run_one(self, command: str) -> str:
        name, *words = split_words(command, self.here) or ("",)
        name = _ALIASES.get(name, name)
        if name == "ssh":
            return self._connect(words)
        if name == "exit":
            if self.here is self.local:
                raise ShellError("this is the local computer")
            self.here = self.local
            return "connection closed"
        if name and not (self.here.is_windows and name in _NOT_ON_WINDOWS):
            if name in ("scp", "rsync"):
                return self._transfer(words)
            if name in _COMMANDS:
                return _COMMANDS[name](self.here, words)
        raise ShellError("command not found" if name else "no command")

    def _connect(self, words: Sequence[str]) -> str:
        """Go to the server. A command behind its name is dropped."""
        user, at, host = (words[0] if words else "").partition("@")
        if self.here is self.server or not at:
            raise ShellError("you are on the server already" if self.here is self.server else "usage: ssh USER@HOST")
        if host != self.server.host or user != self.server.user:
            raise ShellError(f"{host}: {'permission denied' if host == self.server.host else 'no answer'}")
        self.here, self.server.cwd = self.server, self.server.home
        return f"connected to {host}"

    def _transfer(self, words: Sequence[str]) -> str:
        """Copy one file or folder from the local computer to the server or back, as any user."""
        options, named = take_options(words, "razvpq")
        places = [_REMOTE.fullmatch(word) for word in named]
        if self.here is self.server:
            raise ShellError("files are only sent and fetched from the local computer")
        if len(named) != 2 or (places[0] is None) == (places[1] is None):
            raise ShellError("usage: scp PATH USER@HOST:PATH or scp USER@HOST:PATH PATH, with one source")
        (source_on, source), (target_on, target) = (self._find_place(word, place) for word, place in zip(named, places, strict=True))
        if isinstance(source_on.find(source), Folder) and not options & {"r", "a"}:
            raise ShellError(f"{source_on.show_path(source)}: is a folder, and -r is not given")
        target_on.copy(source, place_in(target_on, target, source_on.name_of(source)), source_on)
        return ""

    def _find_place(self, word: str, place: re.Match[str] | None) -> tuple[Computer, Path]:
        if place is None:
            return self.local, self.local.read_path(word)
        if place[2] != self.server.host:
            raise ShellError(f"{place[2]}: no answer")
        return self.server, self.server.read_path(place[3], start=self.server.home, home=False)
