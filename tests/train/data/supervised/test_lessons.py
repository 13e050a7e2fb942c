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
from codagent_train.environments.frozenlake.rules import DIRECTIONS, MAPPINGS, Lake, draw_mapping
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.environments.make import make_pack
from codagent_train.recipe.schema import BatchConfig, read_recipe

RECIPE = read_recipe("lessons")
STRAIGHT = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def played():
    return [play_lesson(RECIPE, VOCABULARY, number) for number in range(300)]


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
    known = action_values(Solver(lake), 0, believe(["2>right", "1>down"], STRAIGHT))
    assert known[:2] == [0.0, 1.0]
    assert known[2] == known[3] == pytest.approx(0.9)  # both bump into the edge
    assert len({round(value, 9) for value in action_values(Solver(lake), 0, ANY_MAPPING)}) == 1


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


def test_three_of_four_lessons_end_with_notes_and_random_moves_are_not_imitated(played):
    kinds = Counter(episode.kind for loop in played for episode in loop.episodes)
    assert 0.65 < kinds["notes"] / kinds["solve"] < 0.85
    moves = [step.reply for loop in played for step in loop.episodes[0].steps]
    assert 0.1 < sum(reply.tokens is None for reply in moves) / len(moves) < 0.2


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
