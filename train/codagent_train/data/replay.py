"""Draws recorded groups for the packs of a step, in place of play. Does not import torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.data.records.scan import TargetPolicy, drop_stale_tokens, scan
from codagent_train.environments.packs import seed_of
from codagent_train.policy.import_weights import CARD_FILE
from codagent_train.recipe.schema import Recipe


class Replay:
    """The recorded groups that a run may learn from. They are read in the first step that has a pack of this source."""

    def __init__(self, recipe: Recipe, out: Path, *, vocabulary_size: int) -> None:
        """`out` is the folder of the run. Replies with a token id of `vocabulary_size` or above are not used."""
        self._recipe = recipe
        self._target = TargetPolicy(policy_aliases(recipe, out), None, recipe.records.max_staleness, vocabulary_size)
        self._groups: Sequence[Sequence[Loop]] = ()

    def groups(self, packs: Sequence[int], step: int) -> dict[int, list[Loop]]:
        """Draw a recorded group for each pack. Replies that are too old for the step have no tokens, so nothing is learned from them.

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
        draws = {number: Random(seed_of("train", "replay", seed, number)) for number in packs}  # noqa: S311
        return {number: [drop_stale_tokens(loop, now) for loop in draw.choice(self._groups)] for number, draw in draws.items()}


def policy_aliases(recipe: Recipe, out: Path) -> tuple[str, ...]:
    """Return the names that records may have for the weights of the run in the folder `out`."""
    return (recipe.policy.weights, out.resolve().name, *_read_recorded_name(Path(recipe.policy.weights)))


def _read_recorded_name(weights: Path) -> tuple[str, ...]:
    """Read the name that records have for the weights from which the folder was made; empty when its card has no name."""
    try:
        name = json.loads((weights / CARD_FILE).read_text(encoding="utf-8")).get("recorded")
    except (OSError, ValueError, AttributeError):
        return ()
    return (name,) if isinstance(name, str) else ()
