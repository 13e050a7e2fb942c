"""The commands that work on the files of one computer. Each takes the words after its name and returns what the terminal shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from codagent_train.environments.domains.terminal.simulator.computer import Computer, File, Folder, Path, ShellError
from codagent_train.environments.domains.terminal.simulator.words import take_options

Command = Callable[[Computer, Sequence[str]], str]


def place_in(computer: Computer, target: Path, name: str) -> Path:
    """Return where something called `name` goes: into the target when that is a folder, else to the target itself."""
    return (*target, name) if isinstance(computer.find(target), Folder) else target


def _list(computer: Computer, words: Sequence[str]) -> str:
    options, named = take_options(words, "la1hR")
    if "R" in options:
        raise ShellError("ls shows one folder")
    paths = [computer.read_path(word) for word in named] or [computer.cwd]
    return "\n".join(_describe(computer, path, long="l" in options) for path in paths)


def _describe(computer: Computer, path: Path, *, long: bool) -> str:
    node = computer.find(path)
    if node is None:
        raise ShellError(f"{computer.show_path(path)}: no such file or folder")
    paths = [(*path, name) for name in computer.names_in(path)] if isinstance(node, Folder) else [path]
    return ("\n" if long else "  ").join(_describe_one(computer, one, long=long) for one in paths)


def _describe_one(computer: Computer, path: Path, *, long: bool) -> str:
    node, name = computer.find(path), path[-1] if path else ""
    shown = f"{name}{'/' if isinstance(node, Folder) else ''}"
    return f"{node.mode} {shown}" if long and node else shown


def _change_folder(computer: Computer, words: Sequence[str]) -> str:
    path = computer.read_path(words[0]) if words else computer.home
    if not isinstance(computer.find(path), Folder):
        raise ShellError(f"{computer.show_path(path)}: no such folder")
    computer.cwd = path
    return ""


def _show(computer: Computer, words: Sequence[str]) -> str:
    files = [computer.get_file(computer.read_path(word)) for word in _some(words, 1)]
    return "\n".join(file.content if file.form == "plain" else "(a binary file)" for file in files)


def _make_folders(computer: Computer, words: Sequence[str]) -> str:
    options, named = take_options(words, "pv")
    for word in _some(named, 1):
        (computer.make_folders if "p" in options else computer.make_folder)(computer.read_path(word))
    return ""


def _copy(computer: Computer, words: Sequence[str]) -> str:
    options, named = take_options(words, "rRapfv")
    *sources, target = (computer.read_path(word) for word in _some(named, 2))
    for source in sources:
        if isinstance(computer.find(source), Folder) and not options & {"r", "R", "a"}:
            raise ShellError(f"{computer.show_path(source)}: is a folder, and -r is not given")
        computer.copy(source, place_in(computer, target, computer.name_of(source)))
    return ""


def _move(computer: Computer, words: Sequence[str]) -> str:
    _, named = take_options(words, "fvn")
    *sources, target = (computer.read_path(word) for word in _some(named, 2))
    for source in sources:
        computer.copy(source, place_in(computer, target, computer.name_of(source)))
        computer.remove(source)
    return ""


def _remove(computer: Computer, words: Sequence[str]) -> str:
    options, named = take_options(words, "rf")
    for path in map(computer.read_path, _some(named, 1)):
        node = computer.find(path)
        if node is None and "f" in options:
            continue
        if isinstance(node, Folder) and "r" not in options:
            raise ShellError(f"{computer.show_path(path)}: is a folder")
        computer.remove(path)
    return ""


def _touch(computer: Computer, words: Sequence[str]) -> str:
    for path in map(computer.read_path, _some(words, 1)):
        if computer.find(path) is None:
            computer.write(path, File(""))
    return ""


def _change_mode(computer: Computer, words: Sequence[str]) -> str:
    mode, *named = _some(words, 2)
    if not re.fullmatch("[0-7]{3}", mode):
        raise ShellError(f"{mode}: a mode has three octal digits here")
    for word in named:
        computer.set_mode(computer.read_path(word), mode)
    return ""


def _some(words: Sequence[str], least: int) -> Sequence[str]:
    if len(words) < least:
        raise ShellError("too few arguments")
    return words


FILE_COMMANDS: Mapping[str, Command] = {
    "ls": _list,
    "cd": _change_folder,
    "pwd": lambda computer, _: computer.show_path(computer.cwd),
    "cat": _show,
    "mkdir": _make_folders,
    "cp": _copy,
    "mv": _move,
    "rm": _remove,
    "echo": lambda _, words: " ".join(words),
    "whoami": lambda computer, _: computer.user,
    "touch": _touch,
    "chmod": _change_mode,
}
