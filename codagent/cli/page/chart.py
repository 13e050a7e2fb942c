"""Lay out gate scores and tokens by iteration for the SVG of `charts.html`.

Across, positions are in per cent of the width, so that text keeps its size on any screen. Down, they are in pixels from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codagent.cli.page.summary import IterationSummary

_TOP, _HEIGHT = 24, 140  # pixels: above the score 1, and from there to the score 0
_BAR_TOP, _BAR_HEIGHT = 20, 64  # pixels: above the highest bar, and that bar
_MAX_LABELS = 12  # more do not fit beside each other


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """The gate score of an iteration that the gates judged."""

    place: int  # of the iteration in its loop, from 0
    number: int  # of the iteration, as the page calls it
    score: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Label:
    """A text in a chart, with its middle at `x` per cent and its base line at `y` pixels."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of the curve on the page, with a link to its iteration."""

    x: float
    y: float
    point: ScorePoint
    result: str  # the score, or `passed`
    label: Label | None  # the result above the dot; None: only the title of the dot says it


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """The curve of gate scores."""

    height: int
    levels: tuple[Label, ...]  # the scores 0, 0.5 and 1 with their height
    dots: tuple[Dot, ...]
    numbers: tuple[Label, ...]  # of iterations, below


@dataclass(frozen=True, slots=True)
class Bar:
    """The tokens of one iteration."""

    x: float
    y: float
    width: float  # per cent
    height: float  # pixels
    label: Label | None


@dataclass(frozen=True, slots=True)
class TokenChart:
    """A bar for each iteration."""

    height: int
    floor: int  # where the bars stand
    bars: tuple[Bar, ...]
    numbers: tuple[Label, ...]


def collect_points(iterations: Sequence[IterationSummary]) -> tuple[ScorePoint, ...]:
    """Collect the points of the curve, for the page and for the PNG. Iterations that no gate judged have none."""
    return tuple(
        ScorePoint(place, iteration.number, iteration.score, iteration.passed)
        for place, iteration in enumerate(iterations)
        if iteration.score is not None
    )


def lay_out_scores(iterations: Sequence[IterationSummary]) -> ScoreChart | None:
    """Lay out the curve of gate scores. None: there is no score."""
    points, count = collect_points(iterations), len(iterations)
    if not points:
        return None
    return ScoreChart(
        height=_TOP + _HEIGHT + 28,
        levels=tuple(Label(0, _score_y(level), f"{level:g}") for level in (0, 0.5, 1)),
        dots=tuple(_lay_out_dot(point, count) for point in points),
        numbers=_lay_out_numbers(iterations, y=_score_y(0) + 20),
    )


def lay_out_tokens(iterations: Sequence[IterationSummary]) -> TokenChart | None:
    """Lay out a bar of tokens for each iteration. None: there is no iteration."""
    if not iterations:
        return None
    tokens = [max(0, iteration.usage.tokens) for iteration in iterations]
    width, floor = 48 / len(tokens), _BAR_TOP + _BAR_HEIGHT
    bars = []
    for index, count in enumerate(tokens):
        x, height = _middle(index, len(tokens)), round(_BAR_HEIGHT * count / max(1, *tokens), 1)
        label = Label(x, round(floor - height - 6, 1), abbreviate(count)) if len(tokens) <= _MAX_LABELS else None
        bars.append(Bar(round(x - width / 2, 2), round(floor - height, 1), round(width, 2), height, label))
    return TokenChart(floor + 28, floor, tuple(bars), _lay_out_numbers(iterations, y=floor + 20))


def abbreviate(count: int) -> str:
    """Write a count in about four characters: 950, 12k, 3.4M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit if count < 10 * size else f"{count / size:,.0f}{unit}"
    return str(count)


def _lay_out_dot(point: ScorePoint, count: int) -> Dot:
    x, y = _middle(point.place, count), _score_y(point.score)
    result = "passed" if point.passed else f"{point.score:.2f}"
    return Dot(x, y, point, result, Label(x, round(y - 12, 1), result) if point.passed or count <= _MAX_LABELS else None)


def _lay_out_numbers(iterations: Sequence[IterationSummary], *, y: float) -> tuple[Label, ...]:
    """Place the numbers of the iterations; of many iterations only some are labelled."""
    places = range(0, len(iterations), -(-len(iterations) // _MAX_LABELS))
    return tuple(Label(_middle(place, len(iterations)), y, str(iterations[place].number)) for place in places)


def _middle(place: int, count: int) -> float:
    return round(100 * (place + 0.5) / count, 2)


def _score_y(score: float) -> float:
    return round(_TOP + (1 - score) * _HEIGHT, 1)
