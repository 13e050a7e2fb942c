"""How well Alchemy-Random can be played without a model. The players are heuristics: what they reach is a floor, not a bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codagent_train.environments.domains.alchemy.recipes import LEVELS, STEP_COST, Bench, Pair, draw_world, least_steps, open_bench, plans
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.packs import Pack

SeenPairs = dict[Pair, int | None]  # what pairs were seen to give
_DEEPEST = 5  # steps of a plan


def choose_pair(bench: Bench, known: Mapping[Pair, int | None], draws: Draws) -> Pair | None:
    """Follow a plan of known recipes where there is one; else try an unknown pair that may lead to the target. None: there is neither."""
    pairs = promising_pairs(bench, known)
    return draws.choice(pairs) if len(pairs) > 1 else next(iter(pairs), None)


def promising_pairs(bench: Bench, known: Mapping[Pair, int | None]) -> list[Pair]:
    """Return the next pair of a plan of known recipes where there is one, else the unknown pairs that are worth a try; sorted."""
    playable = set(bench.playable())
    plan = _next_pair(bench, bench.target, bench.stock, known, playable)
    return [plan] if plan else _unknown_pairs(bench, known, playable)


def _next_pair(
    bench: Bench, element: int, stock: Mapping[int, int], known: Mapping[Pair, int | None], playable: set[Pair], depth: int = 0
) -> Pair | None:
    """Return the first pair of a plan of known recipes that makes an element. None: there is none within the stock."""
    for pair in (pair for pair, result in known.items() if result == element):
        left, missing = dict(stock), []
        for part in pair:
            if left.get(part, 0):
                left[part] -= bench.level.limited
            else:
                missing.append(part)
        first = _next_pair(bench, missing[0], left, known, playable, depth + 1) if missing and depth < _DEEPEST else None
        following = first if missing else pair
        if following in playable:
            return following
    return None


def _unknown_pairs(bench: Bench, known: Mapping[Pair, int | None], playable: set[Pair]) -> list[Pair]:
    """Return the pairs that were never tried, of the highest tier that can be used, or a pair that makes such a pair possible."""
    world, made = bench.world, {result for result in known.values() if result is not None}
    for tier in range(world.tier(bench.target), 0, -1):
        if bench.level.recipes == (1, 1) and made.issuperset(world.tiers[tier]):
            continue  # each has one recipe, and all are known: this tier tells no more
        inputs = set(world.tiers[tier - 1])
        untried = sorted(pair for pair in playable if pair not in known and inputs.issuperset(pair))
        if untried:
            return untried
        for element in world.tiers[tier - 1]:
            if element not in bench.stock and (pair := _next_pair(bench, element, bench.stock, known, playable)):
                return [pair]
    return []


def _choose_any(bench: Bench, _: Mapping[Pair, int | None], draws: Draws) -> Pair | None:
    return draws.choice(bench.playable())


def _play(choose: Callable[[Bench, Mapping[Pair, int | None], Draws], Pair | None], *, carry: bool) -> PlayPack:
    def play(level_name: str, pack: Pack) -> list[Score]:
        level, known, scores = LEVELS[level_name], SeenPairs(), []
        world = draw_world(level, pack.seed, len(pack.tasks))
        for position, task in enumerate(pack.tasks):
            bench, draws = open_bench(level, world, pack.tasks.index(task), task.seed), Draws(task.seed + 1 + position)
            known = known if carry else {}
            while bench.verdict() is None and (pair := choose(bench, known, draws)):
                bench = bench.combine(pair)
                known[pair] = bench.last[1] if bench.last else None
            scores.append(Score(bench.reward, bench.verdict() == "made"))
        return scores

    return play


def _play_known(level_name: str, pack: Pack) -> list[Score]:
    """Score the shortest plan that the stock and the rounds allow."""
    level, scores = LEVELS[level_name], []
    world = draw_world(level, pack.seed, len(pack.tasks))
    for task in pack.tasks:  # a task that is given again keeps the target of its first place
        bench = open_bench(level, world, pack.tasks.index(task), task.seed)
        if level.limited:
            fitting = [steps for steps, base in plans(world, bench.target) if all(base[part] <= bench.stock[part] for part in base)]
        else:
            fitting = [least_steps(world, bench.target)]
        passed = min(fitting, default=level.rounds + 1) <= level.rounds
        scores.append(Score(1.0 - STEP_COST * min(fitting) / level.rounds if passed else 0.0, passed))
    return scores


PLAYERS: Mapping[str, PlayPack] = {
    "random": _play(_choose_any, carry=False),
    "scratch": _play(choose_pair, carry=False),
    "carry": _play(choose_pair, carry=True),
    "known": _play_known,
}
