"""Lessons: how to play and how to read notes is taught, and which notes are good is not."""

from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from codagent.types import Message
from codagent_train.data.mixture import Mixture
from codagent_train.data.samples import imitation_samples
from codagent_train.data.supervised.lessons import TRUE, Lessons, draw_notes, play_lesson
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.rules import DIRECTIONS, draw_mapping
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.environments.make import make_pack, make_teacher, vocabulary_of
from codagent_train.environments.vocabulary import NO_NOTES, NOTES_WORDS, NOTHING
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import BatchConfig, SourcesConfig, read_recipe

RECIPE = read_recipe("lessons")
DOMAINS = [EnvironmentConfig(*named, "words") for named in (("control", "hard"), ("alchemy", "tiny"), ("alchemy", "fresh"))]


@pytest.fixture(scope="module")
def played():
    return [play_lesson(RECIPE, VOCABULARY, number) for number in range(700)]


def teacher_of(recipe, number):
    pack, environment = make_pack(recipe, "train", number)
    return make_teacher(recipe.environment, pack, environment())


def words_of(messages):
    return [word for message in messages for word in message.content.split()]


def written_notes(loops):
    """The words of all notes that were written."""
    texts = [episode.steps[0].reply.raw for loop in loops for episode in loop.episodes if episode.kind == "notes"]
    return [text.removeprefix("<notes>").removesuffix("</notes>").split() for text in texts]


def pairs(notes):
    return [word for word in notes if word in words.RESULTS]


def test_given_notes_have_four_words_and_most_of_their_pairs_are_true():
    teacher = teacher_of(RECIPE, 0)
    drawn = [draw_notes(Random(seed), teacher) for seed in range(2000)]
    assert {len(notes) for notes in drawn} == {4}
    assert all(word in words.NOTABLE for notes in drawn for word in notes)
    true = [word in teacher.truths for notes in drawn for word in pairs(notes)]
    assert 0.82 < sum(true) / len(true) < 0.88  # a random pair is true by chance in one case of four
    assert 0.25 < sum(not pairs(notes) for notes in drawn) / len(drawn) < 0.5


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


def test_in_a_run_that_also_plays_lessons_write_no_notes_and_are_else_the_same(played):
    playing = replace(RECIPE, sources=SourcesConfig(play=1, lessons=1))
    loops = [play_lesson(playing, VOCABULARY, number) for number in range(20)]
    assert all(len(loop.episodes) == 1 for loop in loops)
    said, before = ([[step.reply.raw for step in loop.episodes[0].steps] for loop in some] for some in (loops, played[:20]))
    assert said == before


def test_written_notes_do_not_say_the_same_twice(played):
    said = [[word for word in notes if word != NOTHING] for notes in written_notes(played)]
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


@pytest.mark.parametrize("config", DOMAINS, ids=str)
class TestDomains:
    """The same holds in each domain that has lessons."""

    def test_lessons_are_in_the_words_of_the_domain(self, config):
        vocabulary = vocabulary_of(config)
        loops = [play_lesson(replace(RECIPE, environment=config), vocabulary, number) for number in range(60)]
        assert all(len(notes) == NOTES_WORDS and set(notes) <= set(vocabulary.notable) for notes in written_notes(loops))
        assert len(written_notes(loops)) > 10
        assert {loop.environment.rsplit("-", 1)[0] for loop in loops} == {config.label}
        assert all(set(words_of(episode.prompt)) <= set(vocabulary.words) for loop in loops for episode in loop.episodes)
        assert not any("form" in attempt.outcome.failed for loop in loops for attempt in loop.attempts)

    def test_true_notes_help_the_teacher_and_false_ones_do_not_harm(self, config):
        rewards = {"true": 0.0, "none": 0.0, "false": 0.0}
        for number in range(150):
            recipe = replace(RECIPE, environment=config)
            teacher = teacher_of(recipe, number)
            false = [fact for fact in teacher.facts if fact not in teacher.truths]
            for kind, notes in (("true", teacher.truths), ("none", NO_NOTES.split()), ("false", false)):
                rewards[kind] += play_out(recipe, number, notes) / 150
        assert rewards["true"] > rewards["none"] + 0.2
        assert abs(rewards["false"] - rewards["none"]) < 0.15

    def test_given_facts_are_true_in_four_of_five_cases_and_written_ones_are_no_better_than_what_was_read(self, config):
        recipe, vocabulary = replace(RECIPE, environment=config), vocabulary_of(config)
        true, invented = [], []
        for number in range(400):
            teacher = teacher_of(recipe, number)
            true += [word in teacher.truths for word in draw_notes(Random(number), teacher) if word in teacher.facts]
            loop = play_lesson(recipe, vocabulary, number)
            read = set(words_of(loop.episodes[-1].prompt))
            invented += [word in teacher.truths for notes in written_notes([loop]) for word in notes if word in {*teacher.facts} - read]
        by_chance = len(teacher.truths) / len(teacher.facts)
        assert abs(sum(true) / len(true) - (TRUE + (1 - TRUE) * by_chance)) < 0.06
        assert len(invented) > 40
        assert sum(invented) / len(invented) < by_chance + 0.1


def play_out(recipe, number, notes):
    """Play the first task as its teacher would with these notes, and return the reward."""
    pack, environment = make_pack(recipe, "train", number)
    opened, draw = environment(), Random(number)
    told, teacher, over = words_of(opened.reset(pack.tasks[0], NO_NOTES)[1:]), make_teacher(recipe.environment, pack, opened), False
    while not over:
        weights = teacher.weigh_answers(notes, told)
        answer = draw.choices(list(weights), list(weights.values()))[0]
        observed = opened.step(Message("assistant", answer))
        told += [answer, *words_of(observed.messages)]
        over = observed.end is not None
    return opened.grade().reward
