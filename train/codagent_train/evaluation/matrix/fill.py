"""Fills a matrix: each checkpoint plays each column under each condition, and so do the weights that it began with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from codagent_train.environments.make import make_environment_pack
from codagent_train.evaluation.ceilings import rewards_by_player
from codagent_train.evaluation.loops import Say
from codagent_train.evaluation.matrix.cells import Cell, measure_cell
from codagent_train.evaluation.matrix.playing import GivenNotes, MatrixPlayer, PlayedPacks, shuffle_packs, true_notes, written_notes
from codagent_train.evaluation.matrix.spec import ColumnConfig, Condition, MatrixConfig
from codagent_train.evaluation.matrix.texts import Reachable
from codagent_train.evaluation.target import EvalTarget, find_target, untrained_target
from codagent_train.rollout.rollout import Rollout, rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.run_dir.weights_ref import resolve

OpenSampler = Callable[[EvalTarget], Sampler]  # loads the weights


def fill_matrix(matrix: MatrixConfig, *, say: Say, opener: OpenSampler, play: Rollout = rollout) -> Iterator[Cell]:
    """Yield the cells row by row. `play` plays the loops. The weights that a run began with come before its first checkpoint, once.

    Where they are not known, or not wanted, the condition "untrained" is left out. Raises UsageError when weights or recipes are not there;
    this is before anything is played.
    """
    targets = [find_target(resolve(row.weights), recipe_name=row.recipe) for row in matrix.checkpoints]
    bases = {target.untrained: untrained_target(target) for target in targets if target.untrained and matrix.untrained}
    notes: dict[tuple[str, str], PlayedPacks] = {}  # that the untrained weights wrote, by their name and the column
    for untrained, base in bases.items():
        for column, played in _play_row(MatrixPlayer(opener(base), base.recipe, play, say), matrix, {}):
            notes[str(untrained), str(column)] = played.get("own", {})
            yield measure_cell(f"{base.name} (untrained)", str(column), played)
    for target in targets:
        given = {str(column): notes.get((str(target.untrained), str(column)), {}) for column in matrix.columns}
        for column, played in _play_row(MatrixPlayer(opener(target), target.recipe, play, say), matrix, given):
            yield measure_cell(target.name, str(column), played)


def reachable_by_column(matrix: MatrixConfig) -> dict[str, Reachable]:
    """Return what can be reached in each column without a model, on the packs of the matrix."""
    reachable: dict[str, Reachable] = {}
    for column in matrix.columns:
        packs = [make_environment_pack(column.config, "test", number)[0] for number in range(matrix.packs)]
        reachable[str(column)] = rewards_by_player(column.config, packs)
    return reachable


def _play_row(
    player: MatrixPlayer, matrix: MatrixConfig, untrained_notes: dict[str, PlayedPacks]
) -> Iterator[tuple[ColumnConfig, dict[Condition, PlayedPacks]]]:
    """Play all columns with one checkpoint. `untrained_notes` are by column."""
    size = matrix.packs, matrix.loops
    for column in matrix.columns:
        played: dict[Condition, PlayedPacks] = {}
        for condition in sorted(matrix.conditions, key=lambda condition: condition != "own"):  # the others are given its notes
            given: GivenNotes = {}
            if condition == "shuffled":
                given = written_notes(shuffle_packs(column, played.get("own") or player.play(column, size, "own", {})))
            elif condition == "untrained":
                given = written_notes(untrained_notes.get(str(column), {}))
            elif condition == "true":
                given = true_notes(column, matrix.packs)
            played[condition] = player.play(column, size, condition, given)
        yield column, {condition: packs for condition, packs in played.items() if packs}
