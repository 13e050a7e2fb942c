"""Lessons: single tasks of FrozenLake-Obscure in words, played by a teacher that sees the whole lake, for a new model to imitate.

A model learns from them to move, to read notes, to foresee what an action does, and that notes may quote what was read. It does not learn
which notes are good: those that it is given are true only in part, and those that the teacher writes are never chosen for truth or use.
Does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp
from random import Random

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.protocols import OnText, ignore_text
from codagent.types import Episode, Loop, Message, Observation, Reply, Sampling, Tokens, Tool
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, MAPPINGS_WHERE, Belief, Solver, narrow
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS, draw_mapping, judge, move
from codagent_train.environments.make import make_pack
from codagent_train.environments.packs import seed_of
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, agent_profile

POOL = 2**15  # a run has so many different lessons, which come again in the same order
NO_NOTES = 0.25  # share of lessons in which the notes say nothing
TRUE = 0.8  # share of pairs in the given notes that are true, beside those that are true by chance
OTHER = 0.3  # share of words without a pair in the given notes that say something else
WRITTEN = 0.4  # share of lessons at whose end notes are written
AT_RANDOM = 0.15  # share of moves that the teacher makes at random; these are not imitated
DISCOUNT, TEMPERATURE = 0.9, 0.02  # of the value of a cell, and of the choice among actions by their values
_KEPT, _QUOTED, _BLANK = 0.2, 0.3, 0.15  # shares of written notes: the old ones, words that were read, nothing; all others are random pairs


class Lessons:
    """The lessons of a run. Each is played when it is first needed."""

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer) -> None:
        self._recipe, self._tokenizer = recipe, tokenizer
        self._played: dict[int, Loop] = {}

    def groups(self, packs: Sequence[int]) -> dict[int, list[Loop]]:
        """Return for each pack as many lessons as the policy would play loops."""
        size = self._recipe.batch.group_size
        return {number: [self._lesson(lesson % POOL) for lesson in range(size * number, size * (number + 1))] for number in packs}

    def _lesson(self, number: int) -> Loop:
        if number not in self._played:
            self._played[number] = _without_messages(play_lesson(self._recipe, self._tokenizer, number), self._tokenizer)
        return self._played[number]


def play_lesson(recipe: Recipe, tokenizer: Tokenizer, number: int) -> Loop:
    """Play a lesson. Replies that are not to be imitated have no tokens."""
    pack, environment = make_pack(recipe, "train", recipe.seed * PACK_STRIDE + number)
    draw = Random(seed_of("train", "lesson", recipe.seed, number))  # noqa: S311
    lakes = environment()
    assert isinstance(lakes, FrozenLake)
    mapping = draw_mapping(pack.seed)
    notes = draw_notes(draw, mapping)
    loop = Loop(f"lesson-{number}", f"lesson-{number}", f"frozenlake-{pack.seed}", "teacher", "", notes=" ".join(notes))
    teacher = _Teacher(tokenizer, lakes, draw, believe(notes, mapping))
    notes_io = NotesIO("always" if draw.random() < WRITTEN else "never")
    return run_loop(Agent(teacher, agent_profile(recipe)), lakes, once_each(pack.tasks[:1]), loop=loop, notes_io=notes_io)


def draw_notes(draw: Random, mapping: Sequence[int]) -> list[str]:
    """Draw notes to give: no pair to four pairs, of which most are true, beside words that say nothing of the mapping."""
    shown = 0.0 if draw.random() < NO_NOTES else draw.random()
    other = OTHER if shown else 0.0
    notes = []
    for code in draw.sample(CODES, len(CODES)):
        if draw.random() < shown:
            notes.append(f"{code}>{DIRECTIONS[mapping[code - 1]]}" if draw.random() < TRUE else draw.choice(words.RESULTS))
        else:
            notes.append(draw.choice((*words.BEARINGS, *words.SURROUNDINGS)) if draw.random() < other else words.NOTHING)
    return notes


def believe(notes: Sequence[str], mapping: Sequence[int]) -> Belief:
    """Return the belief of a reader who takes the true pairs of the notes and ignores the false ones."""
    belief = ANY_MAPPING
    for code in CODES:
        if f"{code}>{DIRECTIONS[mapping[code - 1]]}" in notes:
            belief &= MAPPINGS_WHERE[code, mapping[code - 1]]
    return belief


def action_values(solver: Solver, cell: int, belief: Belief) -> list[float]:
    """Return the value of each action when the mapping is drawn from the belief and known from the next turn on (QMDP).

    An action that certainly stays in the cell is worth nothing: such a player would else bump into an edge until its turns are over, for
    fear of a hole, since it believes that it will soon know more.
    """
    near = [move(solver.lake.side, cell, way) for way in range(len(DIRECTIONS))]
    values = [0.0 if other in solver.lake.holes else DISCOUNT ** solver.distance(other) for other in near]
    chances = [[(belief & MAPPINGS_WHERE[code, way]).bit_count() / belief.bit_count() for way in range(len(DIRECTIONS))] for code in CODES]
    return [
        sum(chance * value for chance, value in zip(by_way, values, strict=True))
        if any(chance for chance, other in zip(by_way, near, strict=True) if other != cell)
        else 0.0
        for by_way in chances
    ]


class _Teacher:
    """A Model that plays one lesson. It sees the lake itself; of the mapping it knows its belief and what it observes."""

    name = "teacher"

    def __init__(self, tokenizer: Tokenizer, lakes: FrozenLake, draw: Random, belief: Belief) -> None:
        self._tokenizer, self._lakes, self._draw, self._belief = tokenizer, lakes, draw, belief
        self._solver: Solver | None = None

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        """Return an action, or notes when they are asked for. A random action has no completion."""
        del tools, on_text
        moment, draw = self._lakes.moment, self._draw
        if moment.turn:
            self._belief = narrow(self._belief, moment)
        if judge(moment):
            text = f"<notes>{' '.join(self._write(messages))}</notes>"
        elif draw.random() < AT_RANDOM:
            text = draw.choice(words.ACTIONS)
            read = self._tokenizer.encode((*messages, Message("assistant", text)))
            return Reply(Message("assistant", text), "stop", len(read), 0, 0.0, Tokens(read, (), ()), sampling, self.name, text)
        else:
            self._solver = self._solver or Solver(moment.lake)
            values = action_values(self._solver, moment.position, self._belief)
            text = draw.choices(words.ACTIONS, [exp((value - max(values)) / TEMPERATURE) for value in values])[0]
        prompt_ids, ids = self._tokenizer.encode(messages), self._tokenizer.encode_reply(text)
        tokens = Tokens(prompt_ids, ids, (0.0,) * len(ids))
        return Reply(Message("assistant", text), "stop", len(prompt_ids), len(ids), 0.0, tokens, sampling, self.name, text)

    def close(self) -> None:
        pass

    def _write(self, messages: Sequence[Message]) -> list[str]:
        """Return notes that were not chosen for truth or use. None says the same twice."""
        draw, how = self._draw, self._draw.random()
        read = dict.fromkeys(word for message in messages for word in message.content.split() if word in words.NOTABLE)  # at least four
        if how < _KEPT:
            return draw.sample(messages[0].content.split()[1:], words.NOTES_WORDS)
        if how < _KEPT + _QUOTED:
            return draw.sample(list(read), words.NOTES_WORDS)
        if how < _KEPT + _QUOTED + _BLANK:
            return [words.NOTHING] * words.NOTES_WORDS
        return [words.NOTHING if draw.random() < OTHER else word for word in draw.sample(words.RESULTS, words.NOTES_WORDS)]


def _without_messages(loop: Loop, tokenizer: Tokenizer) -> Loop:
    """Return the loop with the tokens of its replies only: a run keeps many lessons."""
    return replace(loop, episodes=tuple(_drop_messages(episode, tokenizer) for episode in loop.episodes))


def _drop_messages(episode: Episode, tokenizer: Tokenizer) -> Episode:
    """Return the episode without messages. The tokens of an action go on with the word that tells what came of it."""
    steps = []
    for step in episode.steps:
        assert step.reply.tokens
        prompt_ids, ids = step.reply.tokens.prompt_ids, step.reply.tokens.completion_ids + tokenizer.encode(step.observation.messages)[:1]
        if ids:
            reply = replace(step.reply, tokens=Tokens(prompt_ids, ids, (0.0,) * len(ids)))
            steps.append(replace(step, reply=reply, observation=Observation(())))
    return replace(episode, prompt=(), steps=tuple(steps))
