"""One machine that all tasks of a pack share: where its files lie, which of its tools work, and what a command does. No texts of tasks.

Not in the paper, whose tasks share nothing but the quirks of their shells. The machine has folders `~/d0` to `~/d9` and files `f0` to
`f23`, each in one folder. To send a file, one of `scp` and `rsync` works; to pack one, one of `tar` and `zip`. Each task starts from the
same tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from codagent_train.environments.domains.shared.draws import Draws

FOLDERS = tuple(f"d{number}" for number in range(10))
FILES = tuple(f"f{number}" for number in range(24))
TOOLS: Mapping[str, tuple[str, str]] = {"send": ("scp", "rsync"), "pack": ("tar", "zip")}
TURNS = 5
STEP_COST = 0.1  # what a success loses when it takes all turns
_REFUSED = re.compile(r"&&|[;|<>*?`$\\'\"]|\[|\{")
_WORD = re.compile(r"(?:~/)?([\w.:]+(?:/[\w.]+)?)/?")

Deed = Literal["move", "rename", "send", "pack"]
DEEDS: tuple[Deed, ...] = ("move", "rename", "send", "pack")


@dataclass(frozen=True, slots=True)
class Machine:
    """What is hidden, and the same in all tasks of a pack."""

    places: Mapping[str, str]  # the folder of each file
    tools: Mapping[str, str]  # the tool that works, for "send" and "pack"


class Chore(NamedTuple):
    """One task: what is to be done with a file, and a folder or a name for it."""

    deed: Deed
    file: str
    argument: str  # move: a folder; rename: the new name; send: a folder of the server; pack: the name of the archive, without its ending


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of the machine and of the server while a task is played. A path is FOLDER/NAME; the value is the file that it was."""

    machine: Machine
    local: Mapping[str, str]
    server: Mapping[str, str] = field(default_factory=dict)

    def names_in(self, folder: str) -> list[str]:
        return [path.partition("/")[2] for path in self.local if path.startswith(f"{folder}/")]


@lru_cache(maxsize=1024)
def draw_machine(pack_seed: int) -> Machine:
    draws = Draws(pack_seed)
    places = {file: draws.choice(FOLDERS) for file in FILES}
    return Machine(places, {deed: draws.choice(tools) for deed, tools in TOOLS.items()})


@lru_cache(maxsize=1024)
def draw_chores(pack_seed: int, count: int) -> tuple[Chore, ...]:
    """Draw the tasks of a pack: different files while there are any. A longer pack begins with the tasks of a shorter one."""
    machine, draws = draw_machine(pack_seed), Draws(pack_seed + 2)
    files, chores = draws.shuffle(FILES), []
    for number in range(count):
        file, deed = files[number % len(files)], draws.choice(DEEDS)
        others = [folder for folder in FOLDERS if folder != machine.places[file]]
        arguments = {"move": draws.choice(others), "rename": "g", "send": "srv", "pack": "a"}
        end = draws.integer(0, 9)
        chores.append(Chore(deed, file, arguments[deed] if deed == "move" else f"{arguments[deed]}{end}"))
    return tuple(chores)


def open_tree(machine: Machine) -> Tree:
    return Tree(machine, {f"{folder}/{file}": file for file, folder in machine.places.items()})


def find_failed(tree: Tree, chore: Chore) -> tuple[str, ...]:
    """Return the checks of a task that do not hold; empty when it is done."""
    folder, name = tree.machine.places[chore.file], chore.file
    gone = f"{folder}/{name}" not in tree.local
    checks = {
        "move": {"in the new folder": tree.local.get(f"{chore.argument}/{name}") == name, "gone from the old folder": gone},
        "rename": {"there under the new name": tree.local.get(f"{folder}/{chore.argument}") == name, "gone under the old name": gone},
        "send": {"on the server": tree.server.get(f"{chore.argument}/{name}") == name},
        "pack": {"in an archive beside it": _archived(tree, folder, chore)},
    }[chore.deed]
    return tuple(check for check, holds in checks.items() if not holds)


def run_command(tree: Tree, line: str) -> tuple[Tree, str]:
    """Run one command. Returns the tree after it, and its output."""
    if _REFUSED.search(line) or "\n" in line.strip():
        return tree, "refused: one plain command in each turn, without chains, patterns and redirections"
    name, *words = line.split() or [""]
    arguments = [word for word in words if not word.startswith("-") and not (name == "tar" and word in ("cf", "czf"))]
    if name == "ls" and any("R" in word for word in words if word.startswith("-")):
        return tree, "refused: ls shows one folder"
    paths = [match[1] if (match := _WORD.fullmatch(word)) else "" for word in arguments]
    works = tree.machine.tools.values()
    if name in ("scp", "rsync", "tar", "zip"):
        if name not in works:
            return tree, f"{name}: command not found"
        return (_send if name in TOOLS["send"] else _pack)(tree, name, paths)
    command = {"ls": _list, "mv": _move}.get(name)
    return command(tree, name, paths) if command else (tree, f"{name}: command not found")


Command = Callable[[Tree, str, list[str]], tuple[Tree, str]]


def _list(tree: Tree, name: str, paths: list[str]) -> tuple[Tree, str]:
    if len(paths) != 1:
        return tree, f"{name}: name one folder"
    if paths[0] in ("", "~", "."):
        return tree, " ".join(FOLDERS)
    if paths[0] not in FOLDERS:
        return tree, f"{name}: {paths[0]}: no such folder"
    return tree, f"{paths[0]}: {' '.join(tree.names_in(paths[0])) or 'empty'}"


def _move(tree: Tree, name: str, paths: list[str]) -> tuple[Tree, str]:
    """Move a file into a folder, or to a new path."""
    if len(paths) != 2:
        return tree, f"{name}: name a file and where it goes"
    source, target = paths
    if source not in tree.local:
        return tree, f"{name}: {source}: no such file"
    if target in FOLDERS:
        target = f"{target}/{source.partition('/')[2]}"
    elif "/" not in target:
        target = f"{source.partition('/')[0]}/{target}"
    if target.partition("/")[0] not in FOLDERS:
        return tree, f"{name}: {target}: no such folder"
    rest = {path: content for path, content in tree.local.items() if path != source}
    return replace(tree, local={**rest, target: tree.local[source]}), "ok"


def _send(tree: Tree, name: str, paths: list[str]) -> tuple[Tree, str]:
    if len(paths) != 2:
        return tree, f"{name}: name a file and a folder of the server"
    source, folder = paths
    if source not in tree.local:
        return tree, f"{name}: {source}: no such file"
    sent = {f"{folder.rpartition(':')[2]}/{source.partition('/')[2]}": tree.local[source]}
    return replace(tree, server={**tree.server, **sent}), "ok"


def _pack(tree: Tree, name: str, paths: list[str]) -> tuple[Tree, str]:
    """Pack a file into an archive beside it. The archive and the file may be named in any order."""
    if len(paths) != 2:
        return tree, f"{name}: name a file and an archive"
    source = next((path for path in paths if path in tree.local), None)
    if source is None:
        return tree, f"{name}: {' '.join(paths)}: no such file"
    archive = next(path for path in paths if path != source).removesuffix(f".{name}")
    if "/" not in archive:
        archive = f"{source.partition('/')[0]}/{archive}"
    return replace(tree, local={**tree.local, f"{archive}.{name}": f"packed {tree.local[source]}"}), "ok"


def _archived(tree: Tree, folder: str, chore: Chore) -> bool:
    return any(tree.local.get(f"{folder}/{chore.argument}.{tool}") == f"packed {chore.file}" for tool in TOOLS["pack"])
