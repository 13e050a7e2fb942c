"""Means over packs with their 95 % intervals. The unit is the pack: what was measured several times in one is averaged first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, pstdev, stdev

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over a sample, and half the width of its 95 % interval."""

    mean: float
    margin: float


def mean_interval(packs: Sequence[float]) -> Estimate:
    """The mean of a number for each pack, at least two; its margin is normal, good from about 30 packs on."""
    return Estimate(fmean(packs), _Z * stdev(packs) / sqrt(len(packs)))


def share_interval(packs: Sequence[float]) -> Estimate:
    """The mean of a share for each pack. The margin counts two packs of none and two of all beside them (Agresti and Coull 1998, carried
    over to shares between), and so is not 0 when all went alike."""
    return Estimate(fmean(packs), _Z * pstdev([*packs, 0, 0, 1, 1]) / sqrt(len(packs) + 4))
