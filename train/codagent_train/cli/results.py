"""`codagent-train eval`, `plot` and `export-data`: use the results of training, and recorded loops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codagent.cli.numbers import at_least
from codagent.errors import UsageError
from codagent.text import sanitize
from codagent_train.cli import library_logging
from codagent_train.cli.options import WEIGHTS_ARGUMENT, On, Out
from codagent_train.cli.say import say, show_markdown

if TYPE_CHECKING:
    from codagent_train.evaluation.report import Report


def eval_(
    weights: Annotated[str | None, WEIGHTS_ARGUMENT] = None,
    *,
    matrix: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play a matrix in place of WEIGHTS: a TOML file with [[checkpoints]] and [[columns]]."),
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="With --matrix: also draw a figure.", show_default=False)] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE", help="Recipe or run that says how the weights are asked, and on which device.", show_default="the run's own"
        ),
    ] = None,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="small, easy or hard.", show_default="the recipe's")] = None,
    tasks: Annotated[
        int | None, typer.Option(parser=at_least(1), metavar="N", help="Tasks in a pack.", show_default="the recipe's")
    ] = None,
    packing: Annotated[
        Literal["cod", "ralph"] | None,
        typer.Option(help="cod: different tasks; ralph: the first task again and again.", show_default="cod"),
    ] = None,
    notes: Annotated[
        Literal["own", "none", "shuffled", "frozen"],
        typer.Option(help="Notes to solve with: its own, none, those of another pack, or those of the untrained model."),
    ] = "own",
    all_settings: Annotated[
        bool, typer.Option("--all", help="Play all settings: easy and hard, 4 and 8 tasks, both packings. Other options choose among them.")
    ] = False,
    packs: Annotated[int, typer.Option(parser=at_least(2), metavar="N", help="Number of test packs in each setting.")] = 100,
    loops: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Loops over each pack, each with its own seed.")] = 1,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the results to a file.", show_default=False)] = None,
    on: On = None,
) -> None:
    """Play test packs and print the results.

    For WEIGHTS, the table has reward, success and notes on FrozenLake by position, and what can be reached. For a matrix, each column has a
    table of rewards by position, with the notes of each checkpoint and with other notes in their place.
    """
    if (weights is None) == (matrix is None):
        raise UsageError("give either WEIGHTS or --matrix FILE")
    if matrix:
        _eval_matrix(matrix, json=json, png=png, on=on)
        return
    assert weights
    from codagent_train.evaluation import tables
    from codagent_train.evaluation.runner import EvalSize, choose_settings, evaluate, open_target
    from codagent_train.evaluation.target import resolve_target
    from codagent_train.rollout.ray_rollout import open_rollout
    from codagent_train.run_dir.weights_ref import resolve

    target = resolve_target(resolve(weights), recipe_name=recipe)
    chosen_fields = {name: value for name, value in (("level", level), ("tasks", tasks), ("packing", packing)) if value is not None}
    chosen = choose_settings(target.recipe.environment, chosen_fields, notes=notes, all_settings=all_settings)
    reports: list[Report] = []
    if json:
        tables.check_writable(json)  # before hours of play, not after them
    library_logging.silence_libraries()
    with open_rollout(on) as play:
        for report in evaluate(target, chosen, EvalSize(packs, loops), say=say, opener=open_target, play=play):
            show_markdown(("\n" if reports else "") + tables.to_markdown(report))
            reports.append(report)
            if json:
                tables.write_json(json, reports)


def _eval_matrix(file: Path, *, json: Path | None, png: Path | None, on: str | None) -> None:
    """Play a matrix. The cells that are played so far are in the JSON file, also when the command is interrupted."""
    from codagent_train.evaluation.matrix.cells import Cell
    from codagent_train.evaluation.matrix.figure import draw_matrix
    from codagent_train.evaluation.matrix.fill import fill_matrix, reachable_by_column
    from codagent_train.evaluation.matrix.spec import read_matrix
    from codagent_train.evaluation.matrix.texts import column_table, matrix_json
    from codagent_train.evaluation.runner import open_target
    from codagent_train.evaluation.tables import check_writable, write_text
    from codagent_train.rollout.ray_rollout import open_rollout

    matrix = read_matrix(file)
    for output in filter(None, (json, png)):
        check_writable(output)  # before hours of play, not after them
    library_logging.silence_libraries()
    reachable = reachable_by_column(matrix)
    cells: list[Cell] = []
    with open_rollout(on) as play:
        for cell in fill_matrix(matrix, say=say, opener=lambda target: open_target(target)[0], play=play):
            cells.append(cell)
            if json:
                write_text(json, matrix_json(cells, reachable))
    for column, tops in reachable.items():
        show_markdown(column_table(column, [cell for cell in cells if cell.column == column], tops) + "\n")
    if png:
        draw_matrix(cells, reachable, png)


def plot(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="File of the picture.", show_default="reward.png in the folder")] = None,
) -> None:
    """Draw the rewards of a run.

    The picture has the reward by position over the steps, and what can be reached. Its path is printed.
    """
    from codagent_train.evaluation.plots import draw

    file = png or out / "reward.png"
    draw(out, file)
    print(file)


def export_data(
    loops: Annotated[
        list[str], typer.Argument(metavar="LOOPS...", help="Folders of recorded loops, or single records.", show_default=False)
    ],
    out: Out,
) -> None:
    """Write recorded loops as data for other trainers.

    Samples with tokens and episodes become `datasets` folders, trajectories become ATIF files.
    """
    from codagent_train.data.export.datasets import export_records

    print(sanitize(export_records([Path(folder) for folder in loops], out).describe()))
