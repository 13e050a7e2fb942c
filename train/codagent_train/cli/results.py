"""`codagent-train eval`, `plot` and `export-data`: what came of training, and of recorded loops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codagent.text import sanitize
from codagent_train.cli import library_logging
from codagent_train.cli.say import say

if TYPE_CHECKING:
    from codagent_train.evaluation.report import Report


def eval_(
    weights: Annotated[str, typer.Argument(help="A run, then its last checkpoint; a checkpoint; a folder of weights; a name on the hub.")],
    *,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe or a run: how to ask weights, and on which device.", show_default="the run's own")
    ] = None,
    level: Annotated[str | None, typer.Option(help="small, easy or hard.", show_default="the recipe's")] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="In a pack.", show_default="the recipe's")] = None,
    packing: Annotated[
        Literal["cod", "ralph"] | None,
        typer.Option(help="cod: different tasks; ralph: the first one again and again.", show_default="cod"),
    ] = None,
    notes: Annotated[
        Literal["own", "none", "shuffled", "frozen"],
        typer.Option(help="Whose notes are solved with: its own, none, those for another pack, those of the untrained model."),
    ] = "own",
    all_settings: Annotated[
        bool, typer.Option("--all", help="Easy and hard, 4 and 8 tasks, both packings, but for what is given.")
    ] = False,
    packs: Annotated[int, typer.Option(min=2, help="Test packs in a setting.")] = 100,
    loops: Annotated[int, typer.Option(min=1, help="Over each pack, with different draws.")] = 1,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the reports to a file, too.", show_default=False)] = None,
) -> None:
    """Play test packs of FrozenLake and print reward, success and notes by position, beside what can be reached."""
    from codagent_train.evaluation import tables
    from codagent_train.evaluation.runner import EvalSize, choose_settings, evaluate, open_target
    from codagent_train.evaluation.target import resolve_target

    target = resolve_target(weights, recipe_name=recipe)
    chosen_fields = {name: value for name, value in (("level", level), ("tasks", tasks), ("packing", packing)) if value is not None}
    chosen = choose_settings(target.recipe.environment, chosen_fields, notes=notes, all_settings=all_settings)
    reports: list[Report] = []
    if json:
        tables.check_writable(json)  # before hours of play
    library_logging.silence_libraries()
    for report in evaluate(target, chosen, EvalSize(packs, loops), say=say, opener=open_target):
        print(("\n" if reports else "") + tables.to_markdown(report), flush=True)
        reports.append(report)
        if json:
            tables.write_json(json, reports)


def plot(
    out: Annotated[Path, typer.Argument(help="The folder of a run.")],
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the picture goes.", show_default="reward.png in the folder")
    ] = None,
) -> None:
    """Draw reward by position over the steps of a run, with what can be reached, and print where the picture is."""
    from codagent_train.evaluation.plots import draw

    file = png or out / "reward.png"
    draw(out, file)
    print(file)


def export_data(
    loops: Annotated[list[str], typer.Argument(metavar="LOOPS...", help="Folders of recorded loops, or records.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
) -> None:
    """Write recorded loops for other trainers: rows with their tokens and episodes as `datasets` folders, trajectories as ATIF files."""
    from codagent_train.data.export.datasets import export_records

    print(sanitize(export_records([Path(folder) for folder in loops], out).describe()))
