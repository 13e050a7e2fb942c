"""Gate scores and tokens by iteration as inline SVG. Across, it is measured in per cent, so text keeps its size on any screen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from codagent.cli.page.markup import Html, join, tag
from codagent.cli.page.summary import Iteration

_TOP, _HEIGHT = 24, 140  # pixels: above the score 1, and from there to the score 0
_BARS = 64
_LABELS = 12  # as many fit beside each other


def scores(told: Sequence[Iteration]) -> Html:
    """A point for each score, filled where every gate passed."""
    grid = [
        join([_line("0%", _y(level), "100%", _y(level), "grid"), _text("0%", _y(level), f"{level:g}", "level")]) for level in (0, 0.5, 1)
    ]
    points = [(_x(place, told), iteration) for place, iteration in enumerate(told) if iteration.score is not None]
    lines = [_line(a, _y(one.score), b, _y(two.score), "curve") for (a, one), (b, two) in pairwise(points)]
    labelled = len(told) <= _LABELS
    marks = [_point(x, iteration, labelled=labelled) for x, iteration in points]
    numbers = [_text(_x(place, told), _y(0) + 20, str(told[place].number), "number") for place in _labelled(told)]
    return _svg("gate score by iteration", _TOP + _HEIGHT + 28, [*grid, *lines, *marks, *numbers])


def tokens(told: Sequence[Iteration]) -> Html:
    """A bar for each iteration."""
    counts = [max(0, iteration.used.tokens) for iteration in told]
    most = max([1, *counts])
    width = 48 / max(1, len(told))
    bars = []
    for place, count in enumerate(counts):
        height = _BARS * count / most
        left = 100 * (place + 0.5) / len(told) - width / 2
        bar = tag("rect", x=f"{left:.2f}%", width=f"{width:.2f}%", y=f"{20 + _BARS - height:.1f}", height=f"{height:.1f}", class_="bar")
        label = _text(_x(place, told), 14 + _BARS - height, short(count), "value") if len(told) <= _LABELS else Html("")
        bars.append(join([bar, label]))
    floor = _line("0%", 20 + _BARS, "100%", 20 + _BARS, "grid")
    numbers = [_text(_x(place, told), 40 + _BARS, str(told[place].number), "number") for place in _labelled(told)]
    return _svg("tokens by iteration", _BARS + 48, [*bars, floor, *numbers])


def short(count: int) -> str:
    """A count in four characters or so: 950, 12k, 3.4M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit if count < 10 * size else f"{count / size:,.0f}{unit}"
    return str(count)


def _point(x: str, iteration: Iteration, *, labelled: bool) -> Html:
    told = "passed" if iteration.passed else f"{iteration.score:.2f}"
    dot = tag("circle", cx=x, cy=_px(_y(iteration.score)), r="6", class_="dot passed" if iteration.passed else "dot")
    dot = tag("a", tag("title", f"iteration {iteration.number}: {told}"), dot, href=f"#iteration-{iteration.number}")
    return join([dot, _text(x, _y(iteration.score) - 12, told, "value")]) if labelled or iteration.passed else dot


def _labelled(told: Sequence[Iteration]) -> range:
    return range(0, len(told), -(-len(told) // _LABELS) or 1)


def _x(place: int, told: Sequence[Iteration]) -> str:
    return f"{100 * (place + 0.5) / len(told):.2f}%"


def _y(score: float | None) -> float:
    return _TOP + (1 - (score or 0.0)) * _HEIGHT


def _px(y: float) -> str:
    return f"{y:.1f}"


def _line(x1: str, y1: float, x2: str, y2: float, kind: str) -> Html:
    return tag("line", x1=x1, y1=_px(y1), x2=x2, y2=_px(y2), class_=kind)


def _text(x: str, y: float, label: str, kind: str) -> Html:
    return tag("text", label, x=x, y=_px(y), class_=kind)


def _svg(label: str, height: int, parts: list[Html]) -> Html:
    return tag("svg", *parts, role="img", aria_label=label, width="100%", height=str(height))
