"""The texts of the shared machine in two wordings, and its attempts: one command in each turn."""

from __future__ import annotations

from collections.abc import Mapping

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_line, read_prompt
from codagent_train.environments.domains.terminal.machine import (
    STEP_COST,
    TURNS,
    Chore,
    Machine,
    draw_chores,
    draw_machine,
    find_failed,
    open_tree,
    run_command,
)
from codagent_train.environments.packs import Pack, Split, seed_of

EXPECTED: Mapping[Wording, str] = {"terse": "one command", "paper": "<answer>one command</answer> once"}
_TERSE = {"move": "move {0} to {1}", "rename": "rename {0} to {1}", "send": "send {0} to {1}", "pack": "pack {0} as {1}"}
_PAPER = {
    "move": "Move the file {0} into the folder ~/{1}.",
    "rename": "Rename the file {0} to {1}, in the folder where it lies.",
    "send": "Copy the file {0} into the folder {1} of the server.",
    "pack": "Pack the file {0} into the archive {1}.tar or {1}.zip, beside the file.",
}


def make_machine_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. A longer pack begins with the tasks of a shorter one."""
    name = f"terminal-{level}"
    chores = draw_chores(seed_of(split, name, number), tasks)
    return name_tasks(name, split, number, tasks, lambda _, position: describe_chore(chores[position], wording))


def describe_chore(chore: Chore, wording: Wording) -> str:
    return (_TERSE if wording == "terse" else _PAPER)[chore.deed].format(chore.file, chore.argument)


def has_command(reply: str) -> bool:
    """Return whether the first line of a reply is a command."""
    return bool(reply.strip())


class MachineGame:
    """The tasks of a pack. The environment itself remembers nothing of earlier tasks."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        del level
        self.rules = read_prompt(__package__, f"machine_{wording}")
        self._wording, self._machine = wording, draw_machine(pack.seed)
        self._chores = {task.seed: chore for task, chore in zip(pack.tasks, draw_chores(pack.seed, len(pack.tasks)), strict=True)}

    def begin(self, task: Task) -> MachineAttempt:
        return MachineAttempt(self._machine, self._chores[task.seed], self._wording)

    def forget(self) -> None:
        """Do nothing."""


class MachineAttempt:
    """An DomainAttempt at one task, from the machine's first tree."""

    def __init__(self, machine: Machine, chore: Chore, wording: Wording) -> None:
        self._tree, self._chore, self._wording = open_tree(machine), chore, wording
        self._turn, self._output, self._malformed = 0, "", False

    def observe(self) -> str:
        turn = f"{self._turn + 1}/{TURNS}"
        if self._wording == "terse":
            return f"{turn}; {self._output}" if self._turn else f"{describe_chore(self._chore, 'terse')}; {turn}"
        first = [describe_chore(self._chore, "paper")] if not self._turn else []
        return "\n".join([*first, f"Step {turn}", *([self._output] if self._output else []), "user@machine:~$"])

    def act(self, reply: str) -> End | None:
        command = read_line(reply, self._wording)
        if not command:
            self._malformed = True
            return "finished"
        self._turn += 1
        self._tree, self._output = run_command(self._tree, command)
        if not find_failed(self._tree, self._chore):
            return "finished"
        return "steps" if self._turn == TURNS else None

    def describe_state(self) -> str:
        return self._output

    def judge(self) -> Outcome:
        if self._malformed:
            feedback = f"Failed: the answer in turn {self._turn + 1} has the wrong form. Expected: {EXPECTED[self._wording]}."
            return Outcome(0.0, False, feedback, ("form",))
        failed = find_failed(self._tree, self._chore)
        if not failed:
            return Outcome(1.0 - STEP_COST * self._turn / TURNS, True, f"Success in {self._turn} of {TURNS} turns.")
        return Outcome(0.0, False, f"Failed: {self._chore.file} is not {' and not '.join(failed)}.", failed)
