"""The commands that pack and unpack. An archive knows the contents of its files by the paths that they have in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from codagent_train.environments.domains.terminal.simulator.computer import Computer, File, Folder, Form, Path, ShellError
from codagent_train.environments.domains.terminal.simulator.file_commands import Command
from codagent_train.environments.domains.terminal.simulator.words import take_options


def make_archive(computer: Computer, sources: Sequence[Path], form: Form) -> File:
    """Return an archive of files and folders, each under its last name."""
    entries = []
    for source in sources:
        if computer.find(source) is None:
            raise ShellError(f"{computer.show_path(source)}: no such file or folder")
        entries += [("/".join((computer.name_of(source), *rest)), file.content) for rest, file in computer.list_files(source)]
    return File("", form=form, entries=tuple(entries))


def _tar(computer: Computer, words: Sequence[str]) -> str:
    """Pack, unpack or list. `-C` and the folder after it are ignored."""
    flags, *rest = words or ("",)
    letters = set(flags.removeprefix("-"))
    if "-C" in rest:
        at = rest.index("-C")
        rest = rest[:at] + rest[at + 2 :]
    if letters - set("cxtzvf") or "f" not in letters or len(letters & set("cxt")) != 1 or not rest:
        raise ShellError("usage: tar -czf ARCHIVE PATH..., tar -xzf ARCHIVE or tar -tzf ARCHIVE")
    archive, *sources = (computer.read_path(word) for word in rest)
    if "c" not in letters:
        return _unpack(computer, archive, "tar", computer.cwd if "x" in letters else None)
    if not sources:
        raise ShellError("an empty archive is not made")
    computer.write(archive, make_archive(computer, sources, "tar"))
    return ""


def _zip(computer: Computer, words: Sequence[str]) -> str:
    """Pack, and make the folders above the archive. A folder needs `-r`."""
    options, named = take_options(words, "rq")
    if len(named) < 2:
        raise ShellError("usage: zip -r ARCHIVE PATH...")
    archive, *sources = (computer.read_path(word) for word in named)
    archive = archive if "." in computer.name_of(archive) else (*archive[:-1], f"{archive[-1]}.zip")
    if "r" not in options and any(isinstance(computer.find(source), Folder) for source in sources):
        raise ShellError("nothing to do: a folder needs -r")
    packed = make_archive(computer, sources, "zip")
    computer.make_folders(archive[:-1])
    computer.write(archive, packed)
    return "\n".join(f"  adding: {name}" for name, _ in packed.entries)


def _unzip(computer: Computer, words: Sequence[str]) -> str:
    target, rest = computer.cwd, list(words)
    if "-d" in rest[:-1]:
        at = rest.index("-d")
        target = computer.read_path(rest[at + 1])
        rest = rest[:at] + rest[at + 2 :]
    options, named = take_options(rest, "oql")
    if len(named) != 1:
        raise ShellError("usage: unzip ARCHIVE [-d FOLDER]")
    return _unpack(computer, computer.read_path(named[0]), "zip", None if "l" in options else target)


def _unpack(computer: Computer, path: Path, form: Form, target: Path | None) -> str:
    """Unpack into the folder `target`; None: the entries are only listed."""
    archive = computer.get_file(path)
    if archive.form != form:
        raise ShellError(f"{computer.show_path(path)}: is no {form} archive")
    if target is not None:
        for name, content in archive.entries:
            place = (*target, *name.split("/"))
            computer.make_folders(place[:-1])
            computer.write(place, File(content))
    return "\n".join(name for name, _ in archive.entries)


def _gzip(computer: Computer, words: Sequence[str]) -> str:
    for path in map(computer.read_path, words):
        file = computer.get_file(path)
        computer.write((*path[:-1], f"{path[-1]}.gz"), replace(file, form="gzip"))
        computer.remove(path)
    return ""


def _gunzip(computer: Computer, words: Sequence[str]) -> str:
    for path in map(computer.read_path, words):
        file = computer.get_file(path)
        if file.form != "gzip" or not path[-1].endswith(".gz"):
            raise ShellError(f"{computer.show_path(path)}: is not compressed with gzip")
        name = path[-1].removesuffix(".gz")
        form: Form = "tar" if name.endswith(".tar") else "plain"
        computer.write((*path[:-1], name), replace(file, form=form))
        computer.remove(path)
    return ""


ARCHIVE_COMMANDS: Mapping[str, Command] = {"tar": _tar, "zip": _zip, "unzip": _unzip, "gzip": _gzip, "gunzip": _gunzip}
