"""Lessons: single tasks of an environment in words, played by its teacher, for a new model to imitate.

A model learns from them to play, to read notes, to foresee what an answer does, and that notes may quote what was read. It does not learn
which notes are good: those that it is given are true only in part, and those that it sees written are never chosen for truth or use.
Does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.protocols import OnText, ignore_text
from codagent.types import Episode, Loop, Message, Observation, Reply, Sampling, Tokens, Tool
from codagent_train.data.supervised.teacher import make_taught_reply
from codagent_train.environments.make import draw_pack, make_teacher, vocabulary_of
from codagent_train.environments.packs import seed_of
from codagent_train.environments.teaching import Teacher
from codagent_train.environments.vocabulary import NOTES_WORDS, NOTHING, WRITE, Vocabulary
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, agent_profile

POOL = 2**15  # a run has so many different lessons, which come again in the same order
NO_NOTES = 0.25  # share of lessons in which the notes say nothing
TRUE = 0.8  # share of facts in the given notes that are true, beside those that are true by chance
OTHER = 0.3  # share of words without a fact in the given notes that say something else
WRITTEN = 0.4  # share of lessons at whose end notes are written; none in a run that also plays, which alone teaches it what to write
AT_RANDOM = 0.15  # share of answers that are given at random; these are not imitated
# Shares of written notes: the old facts and words that were read, only words that were read, nothing. All others are random facts.
_KEPT, _QUOTED, _BLANK = 0.2, 0.3, 0.15


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
    """Play a lesson."""
    drawn = recipe.seed * PACK_STRIDE + number
    config, pack, open_environment = draw_pack(recipe, "train", drawn)
    environment, vocabulary = open_environment(), vocabulary_of(config)
    assert vocabulary
    draw = Random(seed_of("train", "lesson", recipe.seed, number))  # noqa: S311
    teacher = make_teacher(config, pack, environment)
    notes = " ".join(draw_notes(draw, teacher))
    loop = Loop(f"lesson-{number}", f"lesson-{number}", f"{config.label}-{pack.seed}", "teacher", "", notes=notes)
    agent = Agent(_TeacherModel(tokenizer, vocabulary, teacher, draw), agent_profile(recipe, config))
    notes_io = NotesIO("always" if draw.random() < WRITTEN and not recipe.sources.play else "never")
    return run_loop(agent, environment, once_each(pack.tasks[:1]), loop=loop, notes_io=notes_io)


def draw_notes(draw: Random, teacher: Teacher) -> list[str]:
    """Draw notes to give: no fact to four facts, of which most are true, beside words that state none."""
    shown = 0.0 if draw.random() < NO_NOTES else draw.random()
    other = OTHER if shown else 0.0
    notes = []
    for truth in draw.sample([*teacher.truths, *[NOTHING] * (NOTES_WORDS - len(teacher.truths))], NOTES_WORDS):
        if truth != NOTHING and draw.random() < shown:
            notes.append(truth if draw.random() < TRUE else draw.choice(teacher.facts))
        else:
            notes.append(draw.choice(teacher.asides or [NOTHING]) if draw.random() < other else NOTHING)
    return notes


class _TeacherModel:
    """A Model that answers as a teacher does, sometimes at random."""

    name = "teacher"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, teacher: Teacher, draw: Random) -> None:
        self._tokenizer, self._vocabulary, self._teacher, self._draw = tokenizer, vocabulary, teacher, draw

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        """Return an answer, or notes when they are asked for. A random answer has no completion."""
        del tools, on_text
        draw, notes, told = self._draw, _words_of(messages[:1])[1:], _words_of(messages[1:])
        if told[-1] == WRITE:
            text = f"<notes>{' '.join(self._write(notes, told))}</notes>"
        else:
            weights = self._teacher.weigh_answers(notes, told)
            if draw.random() < AT_RANDOM:
                text = draw.choice(self._vocabulary.answers)
                read = self._tokenizer.encode((*messages, Message("assistant", text)))
                return Reply(Message("assistant", text), "stop", len(read), 0, 0.0, Tokens(read, (), ()), sampling, self.name, text)
            text = draw.choices(list(weights), list(weights.values()))[0]
        return make_taught_reply(self._tokenizer, messages, text, sampling)

    def close(self) -> None:
        pass

    def _write(self, notes: Sequence[str], told: Sequence[str]) -> list[str]:
        """Return notes that were not chosen for truth or use. None says the same twice."""
        draw, how = self._draw, self._draw.random()
        notable = set(self._vocabulary.notable)
        read = list(dict.fromkeys(word for word in (*notes, *told) if word in notable))
        if how < _KEPT:
            kept = [word for word in read if word in notes and word in self._teacher.facts]
            return draw.sample(written := _draw_words(draw, [word for word in read if word not in kept], kept), len(written))
        if how < _KEPT + _QUOTED:
            return _draw_words(draw, read)
        if how < _KEPT + _QUOTED + _BLANK:
            return [NOTHING] * NOTES_WORDS
        return [NOTHING if draw.random() < OTHER else word for word in _draw_words(draw, self._teacher.facts)]


def _words_of(messages: Sequence[Message]) -> list[str]:
    return [word for message in messages for word in message.content.split()]


def _draw_words(draw: Random, words: Sequence[str], kept: Sequence[str] = ()) -> list[str]:
    """Return `kept` and as many different words as notes then have place for. `NOTHING` fills the places for which there is no word."""
    drawn = [*kept, *draw.sample(words, min(NOTES_WORDS - len(kept), len(words)))]
    return drawn + [NOTHING] * (NOTES_WORDS - len(drawn))


def _without_messages(loop: Loop, tokenizer: Tokenizer) -> Loop:
    """Return the loop with the tokens of its replies only: a run keeps many lessons."""
    return replace(loop, episodes=tuple(_drop_messages(episode, tokenizer) for episode in loop.episodes))


def _drop_messages(episode: Episode, tokenizer: Tokenizer) -> Episode:
    """Return the episode without messages. The tokens of an answer go on with the word that tells what came of it."""
    steps = []
    for step in episode.steps:
        assert step.reply.tokens
        prompt_ids, ids = step.reply.tokens.prompt_ids, step.reply.tokens.completion_ids + tokenizer.encode(step.observation.messages)[:1]
        if ids:
            reply = replace(step.reply, tokens=Tokens(prompt_ids, ids, (0.0,) * len(ids)))
            steps.append(replace(step, reply=reply, observation=Observation(())))
    return replace(episode, prompt=(), steps=tuple(steps))
