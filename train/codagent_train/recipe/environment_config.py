"""The part of a recipe that says what the policy plays: an environment, its level, and the form of its texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from codagent.settings.toml import Amount, Count, Table, Text

LEVELS_OF: dict[str, tuple[str, ...]] = {
    "frozenlake": ("small", "easy", "hard"),
    "control": ("easy", "medium", "hard", "noisy"),
    "alchemy": ("tiny", "easy", "hard", "fresh", "hard-fair"),
    "conventions": ("easy",),
    "terminal": ("machine", "paper"),
    "grid": ("small", "train", "eval"),
    "pde": ("train", "eval"),
}
FORMS_OF: dict[str, tuple[str, ...]] = {
    "frozenlake": ("brief", "terse", "paper", "words"),
    **dict.fromkeys(("control", "alchemy"), ("terse", "paper", "words")),
    **dict.fromkeys(("conventions", "terminal", "grid"), ("terse", "paper")),
    "pde": ("paper",),
}

TAUGHT = ("frozenlake", "conventions")  # those with a teacher that writes sentences

Packing = Literal["cod", "ralph"]
Form = Literal["brief", "terse", "paper", "words"]
Memory = Literal["environment", "notes"]
EnvironmentName = Literal["keycode", "frozenlake", "control", "alchemy", "conventions", "terminal", "grid", "pde"]


class EnvironmentConfig(Table, frozen=True):
    """What the policy plays."""

    name: EnvironmentName
    level: Text = "easy"  # one of `LEVELS_OF` this environment; keycode has none
    form: Form = "terse"  # one of `FORMS_OF` this environment; keycode has none
    tasks: Count = 4  # in a pack
    packing: Packing = "cod"  # cod: different tasks; ralph: the first task of the pack again and again
    weight: Amount = 1.0  # beside the environments that it is mixed with
    memory: Memory = "notes"  # environment: where the paper's environment shows what it has seen in earlier tasks, this one does, too

    @property
    def label(self) -> str:
        """The environment in names of loops and metrics, without the seed of a pack."""
        return f"{self.name}-{self.level}" if self.name in LEVELS_OF else self.name


def find_environment_problems(environment: EnvironmentConfig) -> Iterator[str]:
    """Yield why an environment cannot be played, each with its key."""
    for key, known in (("level", LEVELS_OF), ("form", FORMS_OF)):
        value, choices = getattr(environment, key), known.get(environment.name, ())
        if choices and value not in choices:
            yield f"{key}: {environment.name} has no {key} {value!r}; take one of {', '.join(choices)}"
    if environment.name == "alchemy" and environment.form == "words" and environment.level.startswith("hard"):
        yield "form: the words of alchemy have no counts of a stock; take the level tiny, easy or fresh"
