"""Lessons: how to move and how to read notes is taught, and which notes are good is not."""

from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from codagent_train.data.mixture import Mixture
from codagent_train.data.samples import imitation_samples
from codagent_train.data.supervised.lessons import Lessons, action_values, believe, draw_notes, play_lesson
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, MAPPINGS_WHERE, Solver
from codagent_train.environments.frozenlake.rules import DIRECTIONS, MAPPINGS, Lake, draw_mapping, move
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.environments.make import make_pack
from codagent_train.recipe.schema import BatchConfig, read_recipe

RECIPE = read_recipe("lessons")
STRAIGHT = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def played():
    return [play_lesson(RECIPE, VOCABULARY, number) for number in range(700)]


def pairs(notes):
    return [word for word in notes if word in words.RESULTS]


def test_given_notes_have_four_words_and_most_of_their_pairs_are_true():
    drawn = [draw_notes(Random(seed), STRAIGHT) for seed in range(2000)]
    assert {len(notes) for notes in drawn} == {4}
    assert all(word in words.NOTABLE for notes in drawn for word in notes)
    true = [word == f"{word[0]}>{DIRECTIONS[int(word[0]) - 1]}" for notes in drawn for word in pairs(notes)]
    assert 0.82 < sum(true) / len(true) < 0.88  # a random pair is true by chance in one case of four
    assert 0.25 < sum(not pairs(notes) for notes in drawn) / len(drawn) < 0.5


def test_the_reader_takes_true_pairs_and_ignores_the_others():
    assert believe(["?", "1>down", "2>up", "r0c1"], STRAIGHT) == MAPPINGS_WHERE[1, 0]
    assert believe([f"{code}>{DIRECTIONS[way]}" for code, way in enumerate(STRAIGHT, 1)], STRAIGHT) == 1 << MAPPINGS.index(STRAIGHT)
    assert believe(["?", "?", "2>up", "1>left"], STRAIGHT) == ANY_MAPPING


def test_actions_are_worth_what_their_directions_are_worth():
    lake = Lake(3, frozenset({3}), start=0, goal=1, turns=4)  # the goal is on the right, a hole below
    assert action_values(Solver(lake), 0, believe(["2>right", "1>down"], STRAIGHT))[:2] == [0.0, 1.0]
    assert len({round(value, 9) for value in action_values(Solver(lake), 0, ANY_MAPPING)}) == 1


@pytest.mark.parametrize("cell", [0, 2, 6, 8])
def test_an_action_that_certainly_stays_is_worth_nothing(cell):
    lake = Lake(3, frozenset({1, 3, 5}), start=cell, goal=4, turns=4)  # in each corner two actions bump into the edge
    ways = [way for way in range(4) if move(3, cell, way) == cell]
    values = action_values(Solver(lake), cell, 1 << MAPPINGS.index(STRAIGHT))
    assert [values[way] for way in ways] == [0.0, 0.0]


def test_the_teacher_does_not_bump_into_the_same_edge_again_and_again(played):
    for loop in played:
        told = [step.observation.messages[0].content.split()[0] for step in loop.attempts[0].steps if step.observation.messages]
        chosen = [word for word, step in zip(told, loop.attempts[0].steps, strict=False) if step.reply.completion_tokens]
        assert not any(
            first == second == third and first in words.EDGES for first, second, third in zip(chosen, chosen[1:], chosen[2:], strict=False)
        )


def test_written_pairs_that_were_not_read_are_true_only_by_chance(played):
    invented, true = 0, 0
    for number, loop in enumerate(played):
        mapping = draw_mapping(make_pack(RECIPE, "train", number)[0].seed)
        for episode in loop.episodes:
            if episode.kind == "notes":
                read = {word for message in episode.prompt for word in message.content.split()}
                text = episode.steps[0].reply.raw.removeprefix("<notes>").removesuffix("</notes>")
                for word in pairs(text.split()):
                    invented += word not in read
                    true += word not in read and DIRECTIONS[mapping[int(word[0]) - 1]] == word[2:]
    assert invented > 150
    assert 0.1 < true / invented < 0.35


def test_two_of_five_lessons_end_with_notes_and_random_moves_are_not_imitated(played):
    kinds = Counter(episode.kind for loop in played for episode in loop.episodes)
    assert 0.3 < kinds["notes"] / kinds["solve"] < 0.5
    moves = [step.reply for loop in played for step in loop.episodes[0].steps]
    assert 0.1 < sum(not reply.tokens.completion_ids for reply in moves) / len(moves) < 0.2


def test_written_notes_do_not_say_the_same_twice(played):
    written = [
        episode.steps[0].reply.raw.removeprefix("<notes>").removesuffix("</notes>").split()
        for loop in played
        for episode in loop.episodes[1:]
    ]
    said = [[word for word in notes if word != words.NOTHING] for notes in written]
    assert sum(bool(notes) for notes in said) > 100
    assert sum(len(set(notes)) < len(notes) for notes in said) <= 2  # old notes, of which a pair may have been drawn twice


def test_a_kept_lesson_teaches_what_came_of_each_action(played):
    kept = Lessons(replace(RECIPE, batch=BatchConfig(packs=2, group_size=100)), VOCABULARY).groups([0])[0]
    random_moves = 0
    for loop, bare in zip(played, kept, strict=False):
        steps = iter(bare.attempts[0].steps)
        for step in loop.attempts[0].steps:
            chosen = step.reply.tokens.completion_ids
            told = VOCABULARY.encode(step.observation.messages)[:1]
            if chosen or told:
                tokens = next(steps).reply.tokens
                assert tokens.completion_ids == chosen + told
                assert len(tokens.logprobs) == len(tokens.completion_ids)
                assert tokens.prompt_ids[-1] < 4 or chosen  # what came of a random move follows the move
                random_moves += not chosen
        assert next(steps, None) is None
    assert random_moves > 20


def test_a_lesson_is_the_same_each_time_and_is_played_once():
    lessons = Lessons(replace(RECIPE, batch=BatchConfig(packs=2, group_size=4)), VOCABULARY)
    groups = lessons.groups([0, 3])
    assert [len(group) for group in groups.values()] == [4, 4]
    assert len({loop.id for group in groups.values() for loop in group}) == 8
    assert lessons.groups([3])[3][0] is groups[3][0]
    again = Lessons(replace(RECIPE, batch=BatchConfig(packs=2, group_size=4)), VOCABULARY).groups([3])
    assert [sample.ids for sample in imitation_samples(again[3])] == [sample.ids for sample in imitation_samples(groups[3])]


def test_the_mixture_imitates_lessons(tmp_path):
    mixture = Mixture(RECIPE, tmp_path, VOCABULARY, vocabulary_size=len(VOCABULARY.words))
    assert mixture.specs([0, 1], 0) == {}
    loops = mixture.collect_recorded([0, 1], 0)
    assert {key.source for key in loops} == {"lessons"}
    samples = imitation_samples(list(loops.values()))
    assert all(sample.imitated and sample.advantage == 1 for sample in samples)
