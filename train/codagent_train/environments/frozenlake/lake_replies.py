"""Best play of FrozenLake-Obscure in text. At the start of a task it knows only what its notes say."""

from __future__ import annotations

from collections.abc import Iterator

from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, Belief, Solver, narrow
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS, MAPPINGS, judge

_NOTHING = "nothing yet"


def write_replies(lakes: FrozenLake) -> Iterator[str]:
    """Yield the best action, or the notes after an attempt, for the moment at which each is asked for. `lakes` is what is played."""
    belief, solver = ANY_MAPPING, None
    while True:
        moment = lakes.moment
        if moment.turn:
            belief = narrow(belief, moment)
        if judge(moment):  # the attempt is over, so this request asks for the notes
            yield f"<notes>{write_notes(belief)}</notes>"
            belief = keep_noted(belief)
            continue
        if solver is None or not moment.turn:  # it reuses results from turn to turn
            solver = Solver(moment.lake)
        code = solver.best_code(moment.position, belief, moment.lake.turns - moment.turn)
        ways = _possible_ways(belief, code)
        yield lakes.form.render_action(code, DIRECTIONS[ways[0]] if len(ways) == 1 else None)


def write_notes(belief: Belief) -> str:
    """Write notes: each action of which something is known, with its possible directions."""
    lines = [f"{' or '.join(DIRECTIONS[way] for way in ways)} {code}" for code, ways in _noteworthy(belief).items()]
    return ", ".join(lines) or _NOTHING


def keep_noted(belief: Belief) -> Belief:
    """Return the belief of a reader of the notes: that which `write_notes` keeps."""
    known = _noteworthy(belief)
    return sum(1 << index for index, mapping in enumerate(MAPPINGS) if all(mapping[code - 1] in ways for code, ways in known.items()))


def _noteworthy(belief: Belief) -> dict[int, list[int]]:
    """Return the possible directions of each action that is worth a note: at most half of all directions are left."""
    ways_by_code = {code: _possible_ways(belief, code) for code in CODES}
    return {code: ways for code, ways in ways_by_code.items() if len(ways) <= len(DIRECTIONS) // 2}


def _possible_ways(belief: Belief, code: int) -> list[int]:
    """Return the directions in which an action may move."""
    return sorted({mapping[code - 1] for index, mapping in enumerate(MAPPINGS) if belief >> index & 1})
