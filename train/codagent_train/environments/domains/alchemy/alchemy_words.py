"""Alchemy-Random in words, for a small model that is trained from random weights; levels without counts of a stock only.

An answer is one word: a pair. What it gave is one word, too. Of these only recipes may stand in notes, and not that a pair gave nothing:
a task shows many such pairs and few recipes, so that notes quoted by chance would hardly have any. So notes are up to four recipes.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise

from codagent_train.environments.vocabulary import NOTES, NOTHING, WRITE, Vocabulary


def describe_pair(first: str, second: str, made: str | None) -> str:
    """Return the word for what a pair gave; None: nothing."""
    first, second = sorted((first, second))
    return f"{first}+{second}={made or 'no'}"


def _make_vocabulary(*sizes: int) -> Vocabulary:
    """Return the words of a level. `sizes` are the most elements that its tiers have, from the base up."""
    tiers = [[f"{letter}{number}" for number in range(1, size + 1)] for letter, size in zip("abcd", sizes, strict=False)]
    pairs = [(pair, above) for tier, above in pairwise(tiers) for pair in combinations_with_replacement(tier, 2)]
    recipes = [describe_pair(*pair, made) for pair, above in pairs for made in above]
    failures = [describe_pair(*pair, None) for pair, _ in pairs]
    targets = [f"*{name}" for tier in tiers[1:] for name in tier]
    return Vocabulary([f"{first}+{second}" for (first, second), _ in pairs], (*recipes, NOTHING), (NOTES, WRITE, *targets, *failures))


VOCABULARIES = {"tiny": _make_vocabulary(3, 2), "easy": _make_vocabulary(4, 2, 1, 1), "fresh": _make_vocabulary(6, 5, 4)}
