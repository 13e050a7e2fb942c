"""What can be reached in conventions without a model: by guessing rules, by remembering them, and by knowing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from codagent.types import Task
from codagent_train.environments.conventions.calls import ConventionsGame
from codagent_train.environments.conventions.house import (
    RULES,
    House,
    answer,
    describe_rules,
    draw_arguments,
    draw_exercises,
    draw_house,
    find_kinds,
)
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.shared.turns import Wording
from codagent_train.environments.packs import Pack

_Believe = Callable[[House, set[str], Draws], dict[str, int]]  # the house, the kinds of rules that were seen, draws -> what is believed


def guess(house: House, seen: set[str], draws: Draws) -> dict[str, int]:  # noqa: ARG001
    """Believe any rules: what can be done without notes."""
    return {kind: draws.integer(0, len(ways) - 1) for kind, ways in RULES.items()}


def remember(house: House, seen: set[str], draws: Draws) -> dict[str, int]:
    """Believe the rules that earlier tasks showed, and guess the others: true notes of one's own."""
    return guess(house, seen, draws) | {kind: house[kind] for kind in seen}


def know(house: House, seen: set[str], draws: Draws) -> dict[str, int]:  # noqa: ARG001
    """Know all rules: what a reader of true notes can do."""
    return dict(house)


def mistake(house: House, seen: set[str], draws: Draws) -> dict[str, int]:  # noqa: ARG001
    """Believe the rules of another house: what a reader of another pack's notes can do."""
    return dict(draw_house(draws.integer(0, 10**9)))


def _player(believe: _Believe) -> PlayPack:
    def play(level: str, pack: Pack) -> list[Score]:
        house, seen, draws = draw_house(pack.seed), set[str](), Draws(pack.seed + 3)
        game, scores = ConventionsGame(level, "terse", pack), []
        for task, exercise in zip(pack.tasks, draw_exercises(pack.seed, len(pack.tasks)), strict=True):
            believed = believe(house, seen, draws)
            scores.append(_score(game, task, [answer(believed, exercise, call) for call in draw_arguments(exercise, task.seed)]))
            seen |= set(exercise.rules)
        return scores

    return play


def _score(game: ConventionsGame, task: Task, lines: list[str]) -> Score:
    attempt = game.begin(task)
    attempt.act("\n".join(lines))
    outcome = attempt.judge()
    return Score(outcome.reward, outcome.passed)


def write_replies(wording: Wording, pack: Pack) -> Iterator[str]:
    """Yield answers that follow the rules which earlier tasks showed, and between them notes of all rules that were shown.

    A rule that no task has shown is taken as the first of its kind, always: imitated guesses would teach to guess where notes tell.
    """
    house, exercises = draw_house(pack.seed), draw_exercises(pack.seed, len(pack.tasks))
    for position, task in enumerate(pack.tasks):
        if position:
            yield f"<notes>\n{describe_rules(house, exercises[:position])}\n</notes>"
        believed, exercise = dict.fromkeys(RULES, 0) | {kind: house[kind] for kind in find_kinds(exercises[:position])}, exercises[position]
        lines = "\n".join(answer(believed, exercise, call) for call in draw_arguments(exercise, task.seed))
        yield f"<answer>\n{lines}\n</answer>" if wording == "paper" else lines


PLAYERS: Mapping[str, PlayPack] = {
    "random": _player(mistake),
    "scratch": _player(guess),
    "carry": _player(remember),
    "known": _player(know),
}
