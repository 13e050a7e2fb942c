"""Means over packs with 95 % intervals.

One pack is one observation: numbers that were measured several times in a pack are averaged before they come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, pstdev, stdev

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval, which reaches from `mean - margin` to `mean + margin`."""

    mean: float
    margin: float


def mean_interval(packs: Sequence[float]) -> Estimate:
    """Estimate a mean from one number for each pack, at least two. The interval is the normal one, good from about 30 packs on."""
    return Estimate(fmean(packs), _Z * stdev(packs) / sqrt(len(packs)))


def share_interval(packs: Sequence[float]) -> Estimate:
    """Estimate a share from one share between 0 and 1 for each pack.

    The interval is that of Agresti and Coull (1998): two packs with share 0 and two with share 1 are added before its width is computed.
    So the width is not 0 when all packs are equal. Differs: they count successes; here a pack may have any share.
    """
    return Estimate(fmean(packs), _Z * pstdev([*packs, 0, 0, 1, 1]) / sqrt(len(packs) + 4))
