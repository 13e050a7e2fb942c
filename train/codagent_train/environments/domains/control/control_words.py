"""Optimal control in 12 words, for a small model that is trained from random weights.

An answer is one word: the sign of the gains, and how large they are. Start and target are not told: a law with two gains sees them itself.
What a run shows of b is told as one word, which may stand in notes. So notes are quoted, and the sign of b is what they can carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codagent_train.environments.domains.control.best_law import identify_plant
from codagent_train.environments.domains.control.plant import Course, Law, Trajectory, draw_plant, gains_law
from codagent_train.environments.vocabulary import NOTES, NOTHING, WRITE, Vocabulary

_SIZES = {"slow": (0.1, 0.5), "usual": (0.36, 0.88), "fast": (0.8, 1.3)}
GAINS = {f"{sign}{size}": (float(f"{sign}{kp}"), float(f"{sign}{kd}")) for sign in "+-" for size, (kp, kd) in _SIZES.items()}
STEER, FAILED = "@steer", "@failed"
SIGNS = {True: "b>0", False: "b<0"}
VOCABULARY = Vocabulary(tuple(GAINS), (*SIGNS.values(), NOTHING), (NOTES, STEER, FAILED, WRITE))


def read_law(reply: str, course: Course) -> tuple[str, Law] | None:
    """Read a law: the only word of an answer."""
    return (reply, gains_law(course, *GAINS[reply])) if reply in GAINS else None


def describe_run(run: Trajectory | None) -> str:
    """Return what a run shows of b. None: there was no run."""
    plant = identify_plant(run.table, run.v) if run else None
    return SIGNS[plant.b > 0] if plant else FAILED


class ControlTeacher:
    """A Teacher of a pack. It takes gains of the usual size, and their sign from the notes."""

    facts = tuple(SIGNS.values())
    asides = (NOTHING,)

    def __init__(self, pack_seed: int) -> None:
        self._positive = draw_plant(pack_seed).b > 0
        self.truths = (SIGNS[self._positive],)

    def weigh_answers(self, notes: Sequence[str], told: Sequence[str]) -> Mapping[str, float]:
        del told
        known = self.truths[0] in notes
        return {f"{sign}usual": 1.0 for sign, positive in (("+", True), ("-", False)) if not known or positive == self._positive}
