"""The texts of the paper's terminal in two wordings, and its attempts: one line for the shell in each turn."""

from __future__ import annotations

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_line, read_prompt
from codagent_train.environments.domains.terminal.simulator.jobs import draw_job
from codagent_train.environments.domains.terminal.simulator.shell import Shell
from codagent_train.environments.packs import Pack, Split

TURNS = 12


def make_simulator_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. Each task has computers of its own."""
    del wording
    return name_tasks(f"terminal-{level}", split, number, tasks, lambda seed, _: draw_job(seed)[1].text)


class SimulatorGame:
    """The tasks of a pack, which share nothing but the quirks of the shells."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        del level, pack
        self.rules = read_prompt(__package__, f"simulator_{wording}")
        self._wording = wording

    def begin(self, task: Task) -> SimulatorAttempt:
        return SimulatorAttempt(task, self._wording)

    def forget(self) -> None:
        """Do nothing."""


class SimulatorAttempt:
    """A DomainAttempt at one task. It is over as soon as all checks hold."""

    def __init__(self, task: Task, wording: Wording) -> None:
        self._scene, self._job = draw_job(task.seed or 0)
        self._shell, self._wording = Shell(self._scene.local, self._scene.server), wording
        self._turn, self._output, self._malformed = 0, "", False

    def observe(self) -> str:
        turn = f"Step {self._turn + 1}/{TURNS}" if self._wording == "paper" else f"{self._turn + 1}/{TURNS}"
        system = {"windows": "Windows", "macos": "macOS", "linux": "Linux"}[self._scene.local.system]
        told = f"{self._job.text}\nThe local computer has {system}; the server is {self._scene.address}."
        return "\n".join(filter(None, (turn if self._turn else f"{told}\n{turn}", self._output, self._shell.show_prompt())))

    def act(self, reply: str) -> End | None:
        line = read_line(reply, self._wording)
        if not line:
            self._malformed = True
            return "finished"
        self._turn += 1
        self._output = self._shell.run(line)
        if self.is_done():
            return "finished"
        return "steps" if self._turn == TURNS else None

    def is_done(self) -> bool:
        return all(check.holds(self._scene.on(check.side)) for check in self._job.checks)

    def describe_state(self) -> str:
        return self._output

    def judge(self) -> Outcome:
        """1 when all checks hold, else 0. Which of them does not is not told."""
        if self._malformed:
            return Outcome(0.0, False, f"Failed: the answer in step {self._turn + 1} has the wrong form.", ("form",))
        if self.is_done():
            return Outcome(1.0, True, f"Success after {self._turn} of {TURNS} steps.")
        return Outcome(0.0, False, "Failed: the goal state was not reached.", ("goal",))
