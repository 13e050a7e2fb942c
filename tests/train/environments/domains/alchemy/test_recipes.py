"""The rules of Alchemy-Random: graphs, targets, stocks."""

from collections import Counter
from dataclasses import replace

import pytest

from codagent_train.environments.domains.alchemy.recipes import (
    EASY,
    FRESH,
    HARD,
    LEVELS,
    Bench,
    World,
    draw_world,
    least_steps,
    least_stock,
    name_elements,
    open_bench,
    plans,
)

# base 0 1, then 2 = 0+1, 3 = 2+2
SMALL = World(((0, 1), (2,), (3,)), {(0, 1): 2, (2, 2): 3}, ((0, 1), (2,), (3,)), (3, 2))


def worlds(level, tasks=4, count=300):
    return [draw_world(level, seed, tasks) for seed in range(count)]


def test_tiers_shrink_as_told():
    sizes = Counter(tuple(map(len, world.real)) for world in worlds(EASY))
    assert all(3 <= len(size) <= 4 and 3 <= size[0] <= 4 for size in sizes)
    assert all(
        size[tier + 1] in {max(1, round(size[tier] * shrink / 100)) for shrink in range(40, 61)}
        for size in sizes
        for tier in range(len(size) - 1)
    )
    assert (4, 2, 1, 1) in sizes


def test_inputs_are_of_the_tier_below_and_each_element_has_its_recipes():
    for world in worlds(HARD):
        for (first, second), result in world.recipes.items():
            assert first <= second
            assert world.tier(first) == world.tier(second) == world.tier(result) - 1
        assert all(1 <= len(world.pairs_for(element)) <= 2 for tier in world.real[1:] for element in tier)


def test_targets_are_different_and_no_base_elements():
    for world in worlds(EASY):
        assert len(set(world.targets)) == len(world.targets)
        assert not set(world.targets) & set(world.real[0])


def test_distractors_stand_last_in_the_papers_lists_and_anywhere_in_fair_ones():
    with_distractors = [world for world in worlds(HARD) if sum(map(len, world.tiers)) > sum(map(len, world.real))]
    assert len(with_distractors) > 100
    assert all(tier[: len(real)] == real for world in with_distractors for tier, real in zip(world.tiers, world.real, strict=True))
    fair = worlds(LEVELS["hard-fair"])
    assert any(tier[: len(real)] != real for world in fair for tier, real in zip(world.tiers, world.real, strict=True))
    assert all(set(real) <= set(tier) for world in fair for tier, real in zip(world.tiers, world.real, strict=True))


def test_distractors_are_never_targets():
    assert all(any(target in tier for tier in world.real) for world in worlds(HARD, 8) for target in world.targets)


def test_targets_repeat_in_easy_packs_and_never_in_fresh_ones():
    short = Counter(len(world.targets) for world in worlds(EASY))
    assert set(short) == {2, 3, 4}
    assert {len(world.targets) for world in worlds(FRESH, 8)} == {8}
    bench = open_bench(EASY, SMALL, 2, 0)
    assert bench.target == SMALL.targets[0]


def test_least_steps_and_stock_of_a_small_world():
    assert least_steps(SMALL, 3) == 2, "an element that is made once can be used twice"
    assert plans(SMALL, 3) == [(3, Counter({0: 2, 1: 2}))]
    assert least_stock(SMALL, 3) == 2


def test_the_papers_stock_counts_a_part_once_where_it_is_needed_twice():
    hard = replace(HARD, fair=False)
    counts = {open_bench(hard, SMALL, 0, seed).stock[0] for seed in range(50)}
    assert counts == {2}, "int(1 * U(1.5, 2) + 0.5)"
    deep = World(((0, 1), (2,), (3,), (4,)), {(0, 1): 2, (2, 2): 3, (3, 3): 4}, ((0, 1), (2,), (3,), (4,)), (4,))
    assert min(open_bench(hard, deep, 0, seed).stock[0] for seed in range(50)) < least_stock(deep, 4) == 4
    assert min(open_bench(LEVELS["hard-fair"], deep, 0, seed).stock[0] for seed in range(50)) >= 6


def test_pairs_are_used_up_only_where_the_stock_is_limited():
    free = Bench(SMALL, EASY, 3, {0: 1, 1: 1}).combine((0, 1))
    assert (free.stock, free.last) == ({0: 1, 1: 1, 2: 1}, ((0, 1), 2))
    assert free.combine((2, 2)).verdict() == "made"
    limited = Bench(SMALL, HARD, 3, {0: 2, 1: 2}).combine((0, 0))
    assert (limited.stock, limited.last) == ({1: 2}, ((0, 0), None))


def test_a_pair_that_is_not_there_costs_a_round_and_nothing_else():
    bench = Bench(SMALL, HARD, 3, {0: 1, 1: 1})
    for pair in (None, (0, 0), (0, 2)):
        after = bench.combine(pair)
        assert (after.round, after.stock, after.last) == (1, {0: 1, 1: 1}, None)


def test_play_ends_with_the_target_the_rounds_or_the_stock():
    assert Bench(SMALL, HARD, 2, {0: 1, 1: 1}).combine((0, 1)).verdict() == "made"
    assert Bench(SMALL, HARD, 3, {0: 1, 1: 1}).combine((0, 1)).verdict() == "stock"
    assert Bench(SMALL, EASY, 3, {0: 1, 1: 1}, round=8).verdict() == "rounds"
    assert Bench(SMALL, EASY, 3, {0: 1, 1: 1}).verdict() is None


def test_a_success_is_worth_less_the_longer_it_takes():
    assert Bench(SMALL, EASY, 2, {0: 1, 1: 1}, round=3).combine((0, 1)).reward == pytest.approx(1 - 0.1 * 4 / 8)
    assert Bench(SMALL, EASY, 3, {0: 1, 1: 1}, round=3).reward == 0


@pytest.mark.parametrize("short", [True, False])
def test_names_are_different(short):
    for seed in range(50):
        world = draw_world(HARD, seed, 8)
        names = name_elements(world, seed, short=short)
        assert len(set(names.values())) == len(names) == sum(map(len, world.tiers))
        assert all((len(name) == 1) if short else (3 <= len(name) <= 5) for name in names.values())
