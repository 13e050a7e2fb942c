"""The paper's figure (arXiv 2606.20002, figure 3): reward by position over steps, with what can be reached, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from codagent.errors import UsageError
from codagent_train.environments.frozenlake.environment import pack
from codagent_train.environments.keycode import KEYS
from codagent_train.environments.make import LEVELS
from codagent_train.evaluation.ceilings import ceilings
from codagent_train.recipe.schema import Place, Recipe
from codagent_train.run_dir import checkpoints, metrics

PACKS = 200  # that ceilings are sampled over
SMOOTHEST = 17  # steps that a point is the mean of, as in the paper, once there are enough
_MARKERS = "os^DvPX*"
_GREY = "#57606a"

Line = Mapping[str, float]


def draw(out: Path, file: Path) -> None:
    """The figure of the run in `out`, as PNG. A band is drawn where the steps have a margin, `margin/position_0`.

    UsageError where there is nothing to draw, matplotlib is missing, or `file` cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise UsageError("plot needs matplotlib; install it with: pip install 'codagent[plots]'") from None
    lines = metrics.read(out / metrics.FILE)
    positions = {name for line in lines for name in line if name.startswith("reward/position_")}
    if not positions:
        raise UsageError(f"there are no rewards in {out / metrics.FILE}; give the --out of a run that has taken a step")
    recipe = checkpoints.recipe_of(out) if checkpoints.is_run(out) else None
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    _curves(axes, lines, sorted(positions, key=lambda name: int(name.rpartition("_")[2])))
    _tops(axes, tops(recipe.environment) if recipe else [])
    axes.set(xlabel="step", ylabel="reward", ylim=(-0.02, 1.05))
    axes.set_title(_title(recipe), fontsize=10, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {file}: {error.strerror}") from None


def tops(place: Place) -> list[float]:
    """The reward at each position of best play that carries all it has seen, in the environment that a recipe names."""
    if place.name == "keycode":
        return [1 / len(KEYS), *[1.0] * (place.tasks - 1)]
    level = LEVELS[place.level]
    packs = [pack(level, "train", number, tasks=place.tasks) for number in range(PACKS)]
    return [top.mean for top in ceilings(level, packs).reward]


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Each value's mean with those before it, `window` in all where there are so many."""
    return [fmean(values[max(0, at + 1 - window) : at + 1]) for at in range(len(values))]


def _curves(axes: Any, lines: Sequence[Line], names: Sequence[str]) -> None:
    window = max(1, min(SMOOTHEST, len(lines) // 8))
    for place, name in enumerate(names):
        position = name.partition("/")[2]
        there = [line for line in lines if name in line]
        steps = [line["step"] for line in there]
        means = smoothed([line[name] for line in there], window)
        margins = smoothed([line.get(f"margin/{position}", 0.0) for line in there], window)
        colour = _colour(place, len(names))
        look = {"color": colour, "marker": _MARKERS[place % len(_MARKERS)], "markevery": max(1, len(there) // 10), "markersize": 5}
        axes.plot(steps, means, label=position.replace("_", " "), linewidth=1.8, **look)
        if any(margins):
            low, high = ([mean + sign * margin for mean, margin in zip(means, margins, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    if window > 1:
        axes.text(1.0, -0.13, f"mean of {window} steps", transform=axes.transAxes, ha="right", va="top", fontsize=8, color=_GREY)


def _tops(axes: Any, rewards: Sequence[float]) -> None:
    for place, reward in enumerate(rewards):
        axes.axhline(reward, color=_colour(place, len(rewards)), linestyle="--", linewidth=1.0, alpha=0.8)
    if rewards:
        axes.plot([], [], color=_GREY, linestyle="--", linewidth=1.0, label="best play,\nall seen carried")


def _colour(place: int, count: int) -> Any:
    """Told apart by lightness alone too: the later the position, the darker."""
    from matplotlib import colormaps

    return colormaps["viridis"](0.85 * (1 - place / max(1, count - 1)))


def _title(recipe: Recipe | None) -> str:
    if not recipe:
        return "reward by position"
    place = recipe.environment
    where = place.name if place.name == "keycode" else f"{place.name} {place.level}"
    return f"reward by position · {where} · {Path(recipe.policy.weights).name} · seed {recipe.seed}"
