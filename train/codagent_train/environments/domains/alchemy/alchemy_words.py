"""Alchemy-Random in words, for a small model that is trained from random weights; levels without counts of a stock only.

An answer is one word: a pair. What it gave is one word, too, which may stand in notes. So notes are quoted: up to four recipes.
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
    results = [describe_pair(*pair, made) for pair, above in pairs for made in (*above, None)]
    targets = [f"*{name}" for tier in tiers[1:] for name in tier]
    return Vocabulary([f"{first}+{second}" for (first, second), _ in pairs], (*results, NOTHING), (NOTES, WRITE, *targets))


VOCABULARIES = {"tiny": _make_vocabulary(3, 2), "easy": _make_vocabulary(4, 2, 1, 1), "fresh": _make_vocabulary(6, 5, 4)}
