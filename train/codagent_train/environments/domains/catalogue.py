"""All domains by the names that recipes use."""

from __future__ import annotations

from collections.abc import Mapping

from codagent_train.environments.conventions import best_answers, calls
from codagent_train.environments.domains.alchemy import alchemist, alchemy_teacher, alchemy_words, crafting, recipes
from codagent_train.environments.domains.control import best_law, control_words, plant, steering
from codagent_train.environments.domains.grid import cost_map, navigation, routes
from codagent_train.environments.domains.pde import discovery, equation, sparse_players
from codagent_train.environments.domains.shared.domain import Domain
from codagent_train.environments.domains.terminal import errands, levels

DOMAINS: Mapping[str, Domain] = {
    "control": Domain(
        dict.fromkeys(plant.LEVELS, 1),
        steering.make_control_pack,
        steering.ControlGame,
        best_law.PLAYERS,
        steering.EXPECTED,
        steering.has_gains,
        dict.fromkeys(plant.LEVELS, control_words.VOCABULARY),
        lambda _, pack: control_words.ControlTeacher(pack.seed),
    ),
    "alchemy": Domain(
        {name: level.rounds for name, level in recipes.LEVELS.items()},
        crafting.make_alchemy_pack,
        crafting.AlchemyGame,
        alchemist.PLAYERS,
        crafting.EXPECTED,
        crafting.has_pair,
        alchemy_words.VOCABULARIES,
        alchemy_teacher.AlchemyTeacher,
    ),
    "conventions": Domain(
        dict.fromkeys(calls.LEVELS, 1),
        calls.make_conventions_pack,
        calls.ConventionsGame,
        best_answers.PLAYERS,
        calls.EXPECTED,
        lambda reply: all(map(calls.has_value, reply.strip().splitlines())),
        write_true_notes=calls.write_true_notes,
        write_replies=best_answers.write_replies,
    ),
    "grid": Domain(
        {name: level.rounds[1] for name, level in cost_map.LEVELS.items()},
        navigation.make_grid_pack,
        navigation.GridGame,
        routes.PLAYERS,
        navigation.EXPECTED,
        navigation.has_move,
    ),
    "pde": Domain(
        dict.fromkeys(equation.LEVELS, discovery.TURNS),
        discovery.make_pde_pack,
        discovery.PdeGame,
        sparse_players.PLAYERS,
        discovery.EXPECTED,
        discovery.has_action,
    ),
    "terminal": Domain(
        levels.TURNS,
        levels.make_terminal_pack,
        levels.open_game,
        levels.PLAYERS,
        errands.EXPECTED,
        errands.has_command,
    ),
}
