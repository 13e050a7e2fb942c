"""The teacher of Alchemy-Random in words. It knows which elements there are, and of the recipes what notes tell and what it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from codagent_train.environments.domains.alchemy.alchemist import promising_pairs
from codagent_train.environments.domains.alchemy.alchemy_words import VOCABULARIES, describe_pair
from codagent_train.environments.domains.alchemy.recipes import LEVELS, Pair, draw_world, name_elements, open_bench
from codagent_train.environments.packs import Pack
from codagent_train.environments.vocabulary import NOTHING


class AlchemyTeacher:
    """A Teacher of the first task of a pack."""

    def __init__(self, level: str, pack: Pack) -> None:
        world = draw_world(LEVELS[level], pack.seed, len(pack.tasks))
        self._bench = open_bench(LEVELS[level], world, 0, pack.tasks[0].seed)
        self._names = name_elements(world, pack.seed, "words")
        self.facts = tuple(word for word in VOCABULARIES[level].notable if word != NOTHING)
        self.asides = ()
        self._recipes = {self._describe(pair, made): (pair, made) for pair, made in world.recipes.items()}
        self.truths = tuple(self._recipes)

    def weigh_answers(self, notes: Sequence[str], told: Sequence[str]) -> Mapping[str, float]:
        """Follow the recipes that are known, and else try what was not tried."""
        bench = self._bench
        made = [self._recipes[word][1] for word in told if word in self._recipes]
        bench = replace(bench, stock={**bench.stock, **dict.fromkeys(made, 1)})
        known: dict[Pair, int | None] = {pair: None for pair in bench.playable() if self._describe(pair, None) in told}
        known |= {self._recipes[word][0]: self._recipes[word][1] for word in (*notes, *told) if word in self._recipes}
        pairs = promising_pairs(bench, known) or bench.playable()
        return dict.fromkeys(("+".join(self._names[part] for part in pair) for pair in pairs), 1.0)

    def _describe(self, pair: Pair, made: int | None) -> str:
        return describe_pair(self._names[pair[0]], self._names[pair[1]], None if made is None else self._names[made])
