"""All domains by the names that recipes use."""

from __future__ import annotations

from collections.abc import Mapping

from codagent_train.environments.domains.alchemy import alchemist, crafting, recipes
from codagent_train.environments.domains.control import best_law, plant, steering
from codagent_train.environments.domains.domain import Domain

DOMAINS: Mapping[str, Domain] = {
    "control": Domain(
        dict.fromkeys(plant.LEVELS, 1),
        steering.make_control_pack,
        steering.ControlGame,
        best_law.PLAYERS,
        steering.EXPECTED,
        steering.has_gains,
    ),
    "alchemy": Domain(
        {name: level.rounds for name, level in recipes.LEVELS.items()},
        crafting.make_alchemy_pack,
        crafting.AlchemyGame,
        alchemist.PLAYERS,
        crafting.EXPECTED,
        crafting.has_pair,
    ),
}
