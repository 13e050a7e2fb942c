"""The levels of the terminal: `machine`, which a pack shares, and `paper`, whose tasks share nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.turns import Game, Wording
from codagent_train.environments.domains.terminal import errand_players, errands, machine
from codagent_train.environments.domains.terminal.simulator import game, known_lines
from codagent_train.environments.packs import Pack, Split

TURNS: Mapping[str, int] = {"machine": machine.TURNS, "paper": game.TURNS}
_MAKERS = {"machine": errands.make_machine_pack, "paper": game.make_simulator_pack}
_GAMES: Mapping[str, Callable[[str, Wording, Pack], Game]] = {"machine": errands.MachineGame, "paper": game.SimulatorGame}
_PLAYERS = {"machine": errand_players.PLAYERS, "paper": known_lines.PLAYERS}


def make_terminal_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    return _MAKERS[level](level, wording, split, number, tasks)


def open_game(level: str, wording: Wording, pack: Pack) -> Game:
    return _GAMES[level](level, wording, pack)


def _player(kind: str) -> PlayPack:
    def play(level: str, pack: Pack) -> list[Score]:
        return _PLAYERS[level][kind](level, pack)

    return play


PLAYERS: Mapping[str, PlayPack] = {kind: _player(kind) for kind in errand_players.PLAYERS}
