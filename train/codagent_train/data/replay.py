"""Draws recorded groups for the packs of a step, in place of play. Does not import torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.data.records.scan import TargetPolicy, drop_stale_tokens, scan
from codagent_train.environments.packs import pick_in_turn
from codagent_train.policy.import_weights import CARD_FILE
from codagent_train.recipe.schema import Recipe
from codagent_train.run_dir.weights_ref import WeightsRef, resolve


class Replay:
    """The recorded groups that a run may learn from. They are read in the first step that has a pack of this source."""

    def __init__(self, recipe: Recipe, out: Path, *, vocabulary_size: int) -> None:
        """`out` is the folder of the run. Replies with a token id of `vocabulary_size` or above are not used."""
        self._recipe = recipe
        start = resolve(recipe.policy.weights)
        began = "" if start.step is None else start.name
        self._target = TargetPolicy(policy_aliases(start, out), None, recipe.records.max_staleness, vocabulary_size, began)
        self._groups: Sequence[Sequence[Loop]] = ()

    def groups(self, packs: Sequence[int], step: int) -> dict[int, list[Loop]]:
        """Give each pack a recorded group. None comes again before all others have come.

        Replies that are too old for the step have no tokens, so nothing is learned from them.
        Raises UsageError when there are packs and no recorded group can be replayed in any step.
        """
        if packs and not self._groups:
            folders = self._recipe.records.folders
            self._groups = scan([Path(folder) for folder in folders], self._target).groups
            if not self._groups:
                raise UsageError(
                    f"no record in {', '.join(folders)} can be replayed for {' or '.join(self._target.weights)};"
                    " `codagent-train check` lists what they hold"
                )
        now, seed = replace(self._target, version=step), self._recipe.seed
        groups = {number: pick_in_turn(self._groups, number, "replay", seed) for number in packs}
        return {number: [drop_stale_tokens(loop, now) for loop in group] for number, group in groups.items()}


def policy_aliases(start: WeightsRef, out: Path) -> tuple[str, ...]:
    """Return the names by which records may call the weights of the run in the folder `out`, which began with the weights `start`."""
    return (start.location, out.resolve().name, *_read_recorded_name(Path(start.location)))


def _read_recorded_name(weights: Path) -> tuple[str, ...]:
    """Return how records call the weights that the folder was imported from: one name, or none when the folder does not say it."""
    try:
        name = json.loads((weights / CARD_FILE).read_text(encoding="utf-8")).get("recorded")
    except (OSError, ValueError, AttributeError):
        return ()
    return (name,) if isinstance(name, str) else ()
