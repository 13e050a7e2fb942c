"""How well the shared machine can be used without a model: list folders until the file is seen, then do the deed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.terminal.machine import (
    FOLDERS,
    STEP_COST,
    TOOLS,
    TURNS,
    Chore,
    Machine,
    draw_chores,
    draw_machine,
    find_failed,
    open_tree,
    run_command,
)
from codagent_train.environments.packs import Pack


@dataclass(slots=True)
class Knowledge:
    """What a player has seen of a machine."""

    listed: dict[str, list[str]] = field(default_factory=dict)  # the files of the folders that were listed
    tools: dict[str, str] = field(default_factory=dict)  # the tool that works, by deed

    def find(self, file: str) -> str | None:
        """Return the folder of a file; None when it is not known."""
        unlisted = [folder for folder in FOLDERS if folder not in self.listed]
        seen = next((folder for folder, files in self.listed.items() if file in files), None)
        return seen or (unlisted[0] if len(unlisted) == 1 else None)

    def learn(self, command: str, output: str) -> None:
        words = command.split()
        if words[0] == "ls":
            self.listed[words[1]] = output.partition(": ")[2].split()
        for deed, tools in TOOLS.items():
            if words[0] in tools:
                fails = output.endswith("not found")
                self.tools[deed] = next(tool for tool in tools if (tool == words[0]) != fails)


def choose_command(chore: Chore, knowledge: Knowledge, turns_left: int, draws: Draws) -> str:
    """List folders until the file is seen, and act blindly in the last turn."""
    folder = knowledge.find(chore.file)
    if folder is None:
        unlisted = [name for name in FOLDERS if name not in knowledge.listed]
        if turns_left > 1:
            return f"ls {draws.choice(unlisted)}"
        folder = draws.choice(unlisted)
    return _do(chore, folder, knowledge.tools.get(chore.deed) or draws.choice(TOOLS.get(chore.deed, ("mv",))))


def _do(chore: Chore, folder: str, tool: str) -> str:
    return f"{tool} {folder}/{chore.file} {chore.argument}"


def _choose_any(chore: Chore, knowledge: Knowledge, turns_left: int, draws: Draws) -> str:
    del knowledge, turns_left
    return _do(chore, draws.choice(FOLDERS), draws.choice(("mv", *TOOLS["send"], *TOOLS["pack"])))


def _all_of(machine: Machine) -> Knowledge:
    listed = {folder: [file for file, place in machine.places.items() if place == folder] for folder in FOLDERS}
    return Knowledge(listed, dict(machine.tools))


def _player(kind: str) -> PlayPack:
    choose = _choose_any if kind == "random" else choose_command

    def play(level: str, pack: Pack) -> list[Score]:
        del level
        machine, chores, scores = draw_machine(pack.seed), draw_chores(pack.seed, len(pack.tasks)), []
        knowledge = _all_of(machine) if kind == "known" else Knowledge()
        for position, task in enumerate(pack.tasks):
            chore, draws, tree, used = chores[pack.tasks.index(task)], Draws(task.seed + 1 + position), open_tree(machine), 0
            knowledge = knowledge if kind in ("carry", "known") else Knowledge()
            while used < TURNS and find_failed(tree, chore):
                command = choose(chore, knowledge, TURNS - used, draws)
                tree, output = run_command(tree, command)
                knowledge.learn(command, output)
                used += 1
            passed = not find_failed(tree, chore)
            scores.append(Score(1.0 - STEP_COST * used / TURNS if passed else 0.0, passed))
        return scores

    return play


PLAYERS: Mapping[str, PlayPack] = {kind: _player(kind) for kind in ("random", "scratch", "carry", "known")}
