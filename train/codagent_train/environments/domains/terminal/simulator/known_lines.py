"""What can be reached in the paper's terminal without a model. Nothing is hidden there, so who knows the shells always succeeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from codagent.types import Task
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.terminal.simulator.computer import Computer
from codagent_train.environments.domains.terminal.simulator.game import TURNS, SimulatorAttempt
from codagent_train.environments.domains.terminal.simulator.jobs import draw_job
from codagent_train.environments.packs import Pack

_NAMES = ("ls", "cd", "cat", "rm", "mkdir -p")


def _draw_lines(task: Task, position: int) -> Iterator[str]:
    """Draw commands with paths of the local computer or the server, or between the two."""
    draws, (scene, _) = Draws((task.seed or 0) + 1 + position), draw_job(task.seed or 0)

    def draw_path(computer: Computer) -> str:
        return computer.show_path(draws.choice(computer.list_paths()))

    while True:
        here, there = draw_path(scene.local), draw_path(scene.server)
        one = draws.choice((here, there))
        yield draws.choice(
            (
                f"ssh {scene.address}",
                "exit",
                f"{draws.choice(_NAMES)} {one}",
                f"{draws.choice(('mv', 'cp'))} {one} {draws.choice((draw_path(scene.local), draw_path(scene.server)))}",
                f"scp {here} {scene.address}:{there}",
                f"scp {scene.address}:{there} {here}",
            )
        )


def _player(*, known: bool) -> PlayPack:
    def play(level: str, pack: Pack) -> list[Score]:
        del level
        return [_play_one(task, known, position) for position, task in enumerate(pack.tasks)]

    return play


def _play_one(task: Task, known: bool, position: int) -> Score:
    lines = draw_job(task.seed or 0)[1].solution if known else islice(_draw_lines(task, position), TURNS)
    attempt = SimulatorAttempt(task, "terse")
    for line in lines:
        if attempt.act(line):
            break
    outcome = attempt.judge()
    return Score(outcome.reward, outcome.passed)


PLAYERS: Mapping[str, PlayPack] = {
    "random": _player(known=False),
    "scratch": _player(known=True),
    "carry": _player(known=True),
    "known": _player(known=True),
}
