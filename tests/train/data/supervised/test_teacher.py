"""Best play to be imitated: it carries from task to task what its notes say, and no more."""

import re
from statistics import fmean

import pytest
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train.data.mixture import packs_by_source
from codagent_train.data.supervised.teacher import play_as_teacher, teacher_loops
from codagent_train.environments.conventions.house import RULES, answer, describe_rules, draw_arguments, draw_exercises, draw_house
from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.lake_replies import write_replies
from codagent_train.environments.frozenlake.rules import SMALL, draw_mapping
from codagent_train.environments.frozenlake.wording import BRIEF
from codagent_train.evaluation.notes_parser import score_notes
from codagent_train.recipe.environment_config import TAUGHT, EnvironmentConfig
from codagent_train.recipe.schema import SourcesConfig, read_recipe

PROFILE = Profile(prompt="terse", notes_tokens=40)


class Letters:
    """A Tokenizer for which each character is a token."""

    def encode(self, messages):
        return tuple(ord(letter) for message in messages for letter in message.content)

    def encode_reply(self, text):
        return (*map(ord, text), 0)

    def decode(self, ids):
        return "".join(map(chr, ids))


def lesson(number: int) -> Loop:
    drawn = make_lake_pack(SMALL, "train", number, form=BRIEF)
    lakes = FrozenLake(SMALL, drawn.seed, BRIEF)
    return play_as_teacher(Letters(), lakes, drawn.tasks, write_replies(lakes), Loop("l", "g", "e", "teacher", ""), PROFILE)


def test_a_lesson_is_a_loop_whose_notes_are_never_wrong_and_end_up_whole():
    found = [(loop, draw_mapping(make_lake_pack(SMALL, "train", number).seed)) for number in range(12) for loop in [lesson(number)]]
    last = [score_notes(loop.episodes[-1].notes_before, ways) for loop, ways in found]
    assert sum(one.wrong for one in last) == 0
    assert sum(one.is_complete for one in last) >= 9
    assert sum(loop.episodes[-1].outcome.passed for loop, _ in found) == 12


def test_a_lessons_tokens_are_what_the_model_would_read_and_write():
    first = lesson(0).episodes[0]
    reply = first.steps[0].reply
    assert (reply.tokens.prompt_ids, reply.tokens.completion_ids) == (Letters().encode(first.prompt), Letters().encode_reply(reply.raw))
    assert set(reply.tokens.logprobs) == {0.0}


def test_an_action_is_said_with_the_direction_that_the_notes_tell():
    said = [step.reply.raw for number in range(4) for step in lesson(number).episodes[-1].steps]
    assert all(re.fullmatch("(down|right|up|left|try) [1-4]", each) for each in said)
    assert not all(each.startswith("try") for each in said)
    assert all(each.raw.startswith("try") for each in [lesson(number).episodes[0].steps[0].reply for number in range(4)])


def test_lessons_are_as_many_as_the_policys_loops_and_none_is_twice():
    imitate = read_recipe("imitate")
    loops = teacher_loops(imitate, [3, 4], Letters())
    assert {pack: len(group) for pack, group in loops.items()} == dict.fromkeys([3, 4], imitate.batch.group_size)
    assert len({loop.environment for group in loops.values() for loop in group}) == 2 * imitate.batch.group_size


def test_each_pack_has_one_source_by_weight():
    imitate = read_recipe("imitate")
    others: dict[str, list[int]] = {key: [] for key in ("play", "replay", "redo", "imitate", "lessons")}
    assert packs_by_source(imitate, range(5)) == {**others, "teacher": [0, 1, 2, 3, 4]}
    both = packs_by_source(replace(imitate, sources=SourcesConfig(play=3, teacher=1)), range(400))
    assert sorted(both["play"] + both["teacher"]) == list(range(400))
    assert 270 <= len(both["play"]) <= 330


def test_the_teacher_of_conventions_writes_true_notes_and_follows_them():
    imitate = read_recipe("imitate")
    small = replace(imitate, environment=EnvironmentConfig("conventions"))
    with pytest.raises(UsageError, match="notes_tokens: the notes of the teacher do not fit"):
        teacher_loops(small, range(20), Letters())
    house = replace(small, replies=replace(imitate.replies, notes_tokens=160))
    loops = [loop for group in teacher_loops(house, range(20), Letters()).values() for loop in group]
    for loop in loops:
        rewrites = [episode for episode in loop.episodes if episode.kind == "notes"]
        assert all(episode.outcome.passed for episode in rewrites)
        drawn = int(loop.environment.removeprefix("conventions-"))
        first, exercises = loop.episodes[0], draw_exercises(drawn, 4)
        assert rewrites[-1].notes_after == describe_rules(draw_house(drawn), exercises[:3])
        unknown = [answer(dict.fromkeys(RULES, 0), exercises[0], call) for call in draw_arguments(exercises[0], first.task.seed)]
        assert first.steps[0].reply.message.content.splitlines() == unknown  # the same guess in all houses
    passed = [fmean(loop.episodes[2 * position].outcome.passed for loop in loops) for position in range(4)]
    assert passed[0] < 0.2 < passed[2] < 0.8 < passed[3]


def test_who_has_a_teacher_that_writes_sentences_is_named_where_recipes_are_checked():
    assert {"frozenlake", *(name for name, domain in DOMAINS.items() if domain.write_replies)} == set(TAUGHT)
