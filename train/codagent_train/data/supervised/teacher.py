"""Plays FrozenLake-Obscure as well as possible, in text, for a model to imitate before it learns from its own play.

At the start of a task the teacher knows only what the notes say. A model that imitates it thus learns to use notes.
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.protocols import OnText, ignore_text
from codagent.types import Loop, Message, Profile, Reply, Sampling, Task, Tokens, Tool
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, Belief, Solver, narrow
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS, MAPPINGS, judge
from codagent_train.environments.make import make_pack
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, agent_profile

_NOTHING = "nothing yet"


def teacher_loops(recipe: Recipe, packs: Sequence[int], tokenizer: Tokenizer) -> dict[int, list[Loop]]:
    """Let the teacher play for each pack as many loops as the policy would.

    The teacher plays a pack the same way each time. Each of its loops is therefore played over another pack of the training split.
    """
    size, profile = recipe.batch.group_size, agent_profile(recipe)
    groups = {}
    for number in packs:
        group = []
        for lesson in range(size * number, size * (number + 1)):
            pack, environment = make_pack(recipe, "train", recipe.seed * PACK_STRIDE + lesson)
            lakes = environment()
            assert isinstance(lakes, FrozenLake)
            loop = Loop(f"lesson-{lesson}", f"lesson-{lesson}", f"frozenlake-{pack.seed}", "teacher", "")
            group.append(play_as_teacher(tokenizer, lakes, pack.tasks, loop, profile))
        groups[number] = group
    return groups


def play_as_teacher(tokenizer: Tokenizer, lakes: FrozenLake, tasks: Sequence[Task], loop: Loop, profile: Profile) -> Loop:
    """Let the teacher play the tasks of a pack, and return `loop` with the episodes."""
    return run_loop(Agent(_Teacher(tokenizer, lakes), profile), lakes, once_each(tasks), loop=loop, notes_io=NotesIO("between"))


def write_notes(belief: Belief) -> str:
    """Write notes: each action of which something is known, with its possible directions."""
    lines = [f"{' or '.join(DIRECTIONS[way] for way in ways)} {code}" for code, ways in _noteworthy(belief).items()]
    return ", ".join(lines) or _NOTHING


def keep_noted(belief: Belief) -> Belief:
    """Return the belief of a reader of the notes: that which `write_notes` keeps."""
    known = _noteworthy(belief)
    return sum(1 << index for index, mapping in enumerate(MAPPINGS) if all(mapping[code - 1] in ways for code, ways in known.items()))


class _Teacher:
    """A Model that sees the lake itself. Of the actions it knows what it has observed in this task and what its notes say."""

    name = "teacher"

    def __init__(self, tokenizer: Tokenizer, lakes: FrozenLake) -> None:
        self._tokenizer, self._lakes, self._belief = tokenizer, lakes, ANY_MAPPING
        self._solver: Solver | None = None  # of the current task; it reuses results from turn to turn; None: no task was begun

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        """Return the best action, or the notes when they are asked for. The tokens are not sampled, and their logprobs are 0."""
        del tools, on_text
        text = self._next_text()
        prompt_ids, ids = self._tokenizer.encode(messages), self._tokenizer.encode_reply(text)
        return Reply(
            Message("assistant", text),
            "stop",
            len(prompt_ids),
            len(ids),
            0.0,
            Tokens(prompt_ids, ids, (0.0,) * len(ids)),
            sampling,
            self.name,
            text,
        )

    def close(self) -> None:
        pass

    def _next_text(self) -> str:
        moment = self._lakes.moment
        if moment.turn:
            self._belief = narrow(self._belief, moment)
        if judge(moment):  # the attempt is over, so this request asks for the notes
            notes = write_notes(self._belief)
            self._belief = keep_noted(self._belief)
            return f"<notes>{notes}</notes>"
        if self._solver is None or not moment.turn:
            self._solver = Solver(moment.lake)
        code = self._solver.best_code(moment.position, self._belief, moment.lake.turns - moment.turn)
        ways = _possible_ways(self._belief, code)
        return self._lakes.form.render_action(code, DIRECTIONS[ways[0]] if len(ways) == 1 else None)


def _noteworthy(belief: Belief) -> dict[int, list[int]]:
    """Return the possible directions of each action that is worth a note: at most half of all directions are left."""
    ways_by_code = {code: _possible_ways(belief, code) for code in CODES}
    return {code: ways for code, ways in ways_by_code.items() if len(ways) <= len(DIRECTIONS) // 2}


def _possible_ways(belief: Belief, code: int) -> list[int]:
    """Return the directions in which an action may move."""
    return sorted({mapping[code - 1] for index, mapping in enumerate(MAPPINGS) if belief >> index & 1})
