"""What can be reached: by hand on a lake of four cells, and by sample against the reference figures."""

import pytest

from codagent_train.environments.frozenlake.environment import make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, HARD, Lake
from codagent_train.evaluation.ceilings import chance_of_random_play, compute_ceilings


@pytest.mark.parametrize(("turns", "share"), [(1, 1 / 4), (2, 1 / 4 + 1 / 2 * 1 / 4)])
def test_the_chance_of_random_play(turns, share):
    assert chance_of_random_play(Lake(2, frozenset(), start=0, goal=1, turns=turns)) == pytest.approx(share)


def agrees(estimate, reference):
    """Within the error of the sample; the reference has two or three digits."""
    return abs(estimate.mean - reference) <= 1.5 * estimate.margin + 0.005


@pytest.mark.parametrize(
    ("level", "packs", "chance", "alone", "carried", "known"),
    [(EASY, 300, 0.16, 0.606, (0.60, 0.93, 0.99, 1.00), 0.964), (HARD, 80, 0.10, 0.567, (0.56, 0.93, 0.99, 1.00), 0.960)],
)
def test_ceilings_agree_with_the_reference(level, packs, chance, alone, carried, known):
    found = compute_ceilings(level, [make_lake_pack(level, "train", number) for number in range(packs)])
    assert agrees(found.chance, chance)
    assert agrees(found.no_notes, alone)
    assert agrees(found.known_mapping, known)
    assert all(map(agrees, found.success, carried))
    assert all(reward.mean < success.mean for reward, success in zip(found.reward, found.success, strict=True))
