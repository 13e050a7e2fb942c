"""The rules of Alchemy-Random: a hidden graph of recipes, targets, stocks, and what a pair of elements gives. No texts.

After arXiv 2606.20002, table 2. Levels that are not in the paper: in `fresh` all targets of a pack differ; in `hard-fair` every task can
be solved from its stock, and the lists do not give distractors away by their place; `tiny` has two tiers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations_with_replacement, pairwise
from string import ascii_lowercase

from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.shared.turns import Wording

STEP_COST = 0.1  # what a success loses when it takes all rounds
_TRIES = 50  # for a pair that has no recipe yet

Pair = tuple[int, int]  # of elements, the smaller first
Pairs = Mapping[Pair, int | None]  # what pairs give; None: nothing


@dataclass(frozen=True, slots=True)
class AlchemyLevel:
    """How graphs are drawn. Two numbers are the bounds of a uniform draw."""

    name: str
    tiers: tuple[int, int]
    base: tuple[int, int]  # elements of the lowest tier
    shrink: tuple[float, float]  # a tier has so many times the elements of the one below it
    recipes: tuple[int, int]  # of each element
    distractors: tuple[float, float]  # in proportion to the elements of a tier
    rounds: int
    limited: bool  # whether pairs use up their elements
    fair: bool = False  # not in the paper: stocks suffice, and the lists are shuffled
    distinct: bool = False  # not in the paper: drawn again until all targets of a pack differ


EASY = AlchemyLevel("easy", (3, 4), (3, 4), (0.4, 0.6), (1, 1), (0.0, 0.0), 8, limited=False)
HARD = AlchemyLevel("hard", (3, 4), (4, 6), (0.4, 0.8), (1, 2), (0.0, 0.3), 15, limited=True)
FRESH = AlchemyLevel("fresh", (3, 3), (5, 6), (0.7, 0.9), (1, 1), (0.0, 0.0), 10, limited=False, distinct=True)
TINY = AlchemyLevel("tiny", (2, 2), (3, 3), (0.67, 0.67), (1, 1), (0.0, 0.0), 2, limited=False)
LEVELS = {level.name: level for level in (TINY, EASY, HARD, FRESH, replace(HARD, name="hard-fair", fair=True))}


@dataclass(frozen=True, slots=True)
class World:
    """What is hidden, and the same in all tasks of a pack. Elements are numbers from 0."""

    tiers: tuple[tuple[int, ...], ...]  # all elements, as they are listed
    recipes: Mapping[Pair, int]
    real: tuple[tuple[int, ...], ...]  # the elements of each tier that are no distractors
    targets: tuple[int, ...]  # of the tasks in turn; there may be fewer than tasks

    def tier(self, element: int) -> int:
        return next(number for number, tier in enumerate(self.tiers) if element in tier)

    def pairs_for(self, element: int) -> list[Pair]:
        """Return the recipes of an element, in the order in which they were drawn."""
        return [pair for pair, result in self.recipes.items() if result == element]


@dataclass(frozen=True, slots=True)
class Bench:
    """A task in play. `stock` has the count of each element; a count of an unlimited level is 1 and never falls."""

    world: World
    level: AlchemyLevel
    target: int
    stock: Mapping[int, int]
    round: int = 0
    last: tuple[Pair, int | None] | None = None  # the last pair that was allowed, and what it gave; None: there is none

    def playable(self) -> list[Pair]:
        """Return the pairs that the stock allows."""
        pairs = combinations_with_replacement(sorted(self.stock), 2)
        return [pair for pair in pairs if self.allows(pair)]

    def allows(self, pair: Pair) -> bool:
        enough = not self.level.limited or pair[0] != pair[1] or self.stock.get(pair[0], 0) > 1
        return enough and pair[0] in self.stock and pair[1] in self.stock

    def combine(self, pair: Pair | None) -> Bench:
        """Return the bench after a round. None, or a pair that the stock does not allow, costs the round and uses nothing up."""
        if pair is None or not self.allows(pair):
            return replace(self, round=self.round + 1, last=None)
        stock, made = Counter(self.stock), self.world.recipes.get(pair)
        if self.level.limited:
            stock.subtract(pair)
        if made is not None:
            stock[made] = stock[made] + 1 if self.level.limited else 1
        return replace(self, round=self.round + 1, last=(pair, made), stock={item: count for item, count in stock.items() if count})

    def verdict(self) -> str | None:
        """Return why play is over: "made", "rounds" or "stock"; None while it goes on."""
        if self.target in self.stock:
            return "made"
        if self.round == self.level.rounds:
            return "rounds"
        return None if self.playable() else "stock"

    @property
    def reward(self) -> float:
        return 1.0 - STEP_COST * self.round / self.level.rounds if self.target in self.stock else 0.0


@lru_cache(maxsize=1024)
def draw_world(level: AlchemyLevel, pack_seed: int, tasks: int) -> World:
    draws = Draws(pack_seed)
    while True:
        world = _draw_graph(level, draws)
        targets = tuple(_draw_targets(world, draws, tasks))
        if not level.distinct or len(targets) == tasks:
            return replace(world, targets=targets)


def open_bench(level: AlchemyLevel, world: World, position: int, task_seed: int) -> Bench:
    """Return the bench of the task at a position of a pack, with its first stock."""
    target = world.targets[position % len(world.targets)]
    count = 1
    if level.limited:
        need = least_stock(world, target) if level.fair else _traced_stock(world, target)
        count = max(need, int(need * Draws(task_seed).real(1.5, 2.0) + 0.5))
    return Bench(world, level, target, dict.fromkeys(world.real[0], count))


def least_steps(world: World, target: int) -> int:
    """Return how many pairs it takes at least to make the target when nothing is used up."""

    def sets(element: int) -> set[frozenset[int]]:
        """Return the sets of elements that must be made for this one, one for each way."""
        if element in world.real[0]:
            return {frozenset()}
        return {left | right | {element} for a, b in world.pairs_for(element) for left in sets(a) for right in sets(b)}

    return min(map(len, sets(target)))


def plans(world: World, target: int) -> list[tuple[int, Counter[int]]]:
    """Return for each way of making the target once, of parts that are used up, its number of pairs and the base elements it takes."""
    if target in world.real[0]:
        return [(0, Counter([target]))]
    return [
        (1 + left + right, mine + other)
        for a, b in world.pairs_for(target)
        for left, mine in plans(world, a)
        for right, other in plans(world, b)
    ]


def least_stock(world: World, target: int) -> int:
    """Return the least count of each base element from which the target can be made."""
    return min(max(base.values()) for _, base in plans(world, target))


def name_elements(world: World, pack_seed: int, wording: Wording) -> dict[int, str]:
    """Name the elements.

    In the terse wording they are one letter each, in the order of the lists; in words, the letter of the tier and a number; in the paper's
    wording, random words of 3 to 5 letters.
    """
    elements = [element for tier in world.tiers for element in tier]
    if wording == "terse":
        return dict(zip(elements, ascii_lowercase, strict=False))
    if wording == "words":
        return {
            element: f"{letter}{number}"
            for letter, tier in zip(ascii_lowercase, world.tiers, strict=False)
            for number, element in enumerate(tier, 1)
        }
    draws, names = Draws(pack_seed + 1), dict[str, None]()
    while len(names) < len(elements):
        names["".join(draws.choice(ascii_lowercase) for _ in range(draws.integer(3, 5)))] = None
    return dict(zip(elements, names, strict=True))


def _draw_graph(level: AlchemyLevel, draws: Draws) -> World:
    count, sizes = draws.integer(*level.tiers), [draws.integer(*level.base)]
    shrink, share = draws.real(*level.shrink), draws.real(*level.distractors)
    for _ in range(1, count):
        sizes.append(max(1, round(sizes[-1] * shrink)))
    firsts = [sum(sizes[:tier]) for tier in range(count + 1)]
    real = tuple(tuple(range(first, end)) for first, end in pairwise(firsts))
    tiers, recipes = [list(tier) for tier in real], dict[Pair, int]()
    for tier in range(1, count):
        for element in real[tier]:
            for _ in range(draws.integer(*level.recipes)):
                _add_recipe(recipes, tiers[tier - 1], element, draws)
    following = firsts[-1]
    for part in (1.0, 0.5) if share else ():
        added: list[tuple[int, int]] = []
        for tier in range(1, count):
            for _ in range(round(round(sizes[tier] * share) * part)):
                if _add_recipe(recipes, tiers[tier - 1], following, draws):
                    added.append((tier, following))
                following += 1
        for tier, element in added:
            tiers[tier].append(element)
    listed = [draws.shuffle(tier) for tier in tiers] if level.fair else tiers
    return World(tuple(map(tuple, listed)), recipes, real, ())


def _add_recipe(recipes: dict[Pair, int], inputs: list[int], element: int, draws: Draws) -> bool:
    """Draw a recipe of two inputs that has no result yet. Return False when none is found."""
    for _ in range(_TRIES):
        first, second = sorted((draws.choice(inputs), draws.choice(inputs)))
        if (first, second) not in recipes:
            recipes[first, second] = element
            return True
    return False


def _draw_targets(world: World, draws: Draws, tasks: int) -> list[int]:
    """Draw different targets, those of higher tiers more often, as many as there are tasks and elements; in random order."""
    left = {tier: list(elements) for tier, elements in enumerate(world.real) if tier}
    targets: list[int] = []
    while len(targets) < tasks and (open_tiers := [tier for tier in left if left[tier]]):
        tier = draws.weighted(open_tiers, [tier + 1 for tier in open_tiers])
        targets.append(left[tier].pop(draws.integer(0, len(left[tier]) - 1)))
    return draws.shuffle(targets)


def _traced_stock(world: World, target: int) -> int:
    """Return the paper's count of each base element. It counts a part once even where it is needed twice, so that it may not suffice."""
    need, have, seen = Counter[int](), Counter[int](), set[int]()

    def trace(element: int) -> None:
        pairs = world.pairs_for(element)
        if element in seen or not pairs:
            return
        seen.add(element)
        for part in pairs[0]:
            trace(part)
        for part in pairs[0]:
            if have[part]:
                have[part] -= 1
            else:
                need[part] += 1
        have[element] += 1

    trace(target)
    return max(need.values())
