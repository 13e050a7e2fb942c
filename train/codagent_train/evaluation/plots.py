"""Draw the paper's figure (arXiv 2606.20002, figure 3) with matplotlib: reward by position over steps, with what can be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from codagent.errors import UsageError
from codagent_train.environments.make import make_environment_pack
from codagent_train.evaluation.ceilings import rewards_by_player
from codagent_train.recipe.schema import EnvironmentConfig, Recipe
from codagent_train.run_dir import checkpoints, metrics

PACKS = 200  # for the estimates of what can be reached
SMOOTHEST = 17  # a point is the mean of at most so many steps, as in the paper
_MARKERS = "os^DvPX*"
_GREY = "#57606a"

Line = Mapping[str, float]


def draw(out: Path, file: Path) -> None:
    """Draw the figure of the run in `out` into `file`, as PNG.

    A step with the metrics `margin/position_N` gets a band of that width. Without a `run.json` in `out`, what can be reached is not drawn.
    Raises UsageError when the run has no rewards yet, matplotlib is not installed, or `file` cannot be written.
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
    recipe = checkpoints.load_recipe(out) if checkpoints.is_run(out) else None
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    _draw_curves(axes, lines, sorted(positions, key=lambda name: int(name.rpartition("_")[2])))
    _draw_reachable(axes, reachable_rewards(recipe.environment) if recipe else [])
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


def reachable_rewards(environment: EnvironmentConfig) -> list[float]:
    """Return, for each position, the reward of the best play that remembers all tasks before."""
    packs = [make_environment_pack(environment, "train", number)[0] for number in range(PACKS)]
    return [top.mean for top in rewards_by_player(environment, packs)["carry"]]


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of each value with the values before it: `window` values, fewer at the beginning."""
    return [fmean(values[max(0, index + 1 - window) : index + 1]) for index in range(len(values))]


def _draw_curves(axes: Any, lines: Sequence[Line], names: Sequence[str]) -> None:
    window = max(1, min(SMOOTHEST, len(lines) // 8))
    for index, name in enumerate(names):
        position = name.partition("/")[2]
        measured = [line for line in lines if name in line]
        steps = [line["step"] for line in measured]
        means = smooth([line[name] for line in measured], window)
        margins = smooth([line.get(f"margin/{position}", 0.0) for line in measured], window)
        colour = _colour(index, len(names))
        style = {"color": colour, "marker": _MARKERS[index % len(_MARKERS)], "markevery": max(1, len(measured) // 10), "markersize": 5}
        axes.plot(steps, means, label=position.replace("_", " "), linewidth=1.8, **style)
        if any(margins):
            low, high = ([mean + sign * margin for mean, margin in zip(means, margins, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    if window > 1:
        axes.text(1.0, -0.13, f"mean of {window} steps", transform=axes.transAxes, ha="right", va="top", fontsize=8, color=_GREY)


def _draw_reachable(axes: Any, rewards: Sequence[float]) -> None:
    for index, reward in enumerate(rewards):
        axes.axhline(reward, color=_colour(index, len(rewards)), linestyle="--", linewidth=1.0, alpha=0.8)
    if rewards:
        axes.plot([], [], color=_GREY, linestyle="--", linewidth=1.0, label="best play,\nall seen carried")


def _colour(index: int, count: int) -> Any:
    """Return a colour that is darker the later the position, so that curves differ in grey, too."""
    from matplotlib import colormaps

    return colormaps["viridis"](0.85 * (1 - index / max(1, count - 1)))


def _title(recipe: Recipe | None) -> str:
    if not recipe:
        return "reward by position"
    environment = recipe.environment
    where = environment.name if environment.name == "keycode" else f"{environment.name} {environment.level}"
    return f"reward by position · {where} · {Path(recipe.policy.weights).name} · seed {recipe.seed}"
