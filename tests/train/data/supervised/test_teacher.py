"""Best play to be imitated: it carries from task to task what its notes say, and no more."""

import re

from msgspec.structs import replace

from codagent.types import Loop, Profile
from codagent_train.data.mixture import packs_by_source
from codagent_train.data.supervised.teacher import keep_noted, play_as_teacher, teacher_loops, write_notes
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, narrow
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import MAPPINGS, SMALL, Lake, Moment, apply_action, draw_mapping
from codagent_train.environments.frozenlake.wording import BRIEF
from codagent_train.evaluation.notes_parser import score_notes
from codagent_train.recipe.schema import SourcesConfig, read_recipe

RIGHT_FIRST = (1, 0, 2, 3)  # action 1 moves right, 2 down, 3 up, 4 left
PROFILE = Profile(prompt="terse", notes_tokens=40)


class Letters:
    """A Tokenizer for which each character is a token."""

    def encode(self, messages):
        return tuple(ord(letter) for message in messages for letter in message.content)

    def encode_reply(self, text):
        return (*map(ord, text), 0)

    def decode(self, ids):
        return "".join(map(chr, ids))


def believed(*codes: int) -> int:
    """What is believed of an open lake of 3 by 3 after these actions from its middle, one at a time."""
    open_lake, belief = Lake(3, frozenset(), 4, 8, 9), ANY_MAPPING
    for code in codes:
        belief = narrow(belief, apply_action(Moment(open_lake, 4), code, RIGHT_FIRST))
    return belief


def lesson(number: int) -> Loop:
    drawn = make_lake_pack(SMALL, "train", number, form=BRIEF)
    return play_as_teacher(Letters(), FrozenLake(SMALL, drawn.seed, BRIEF), drawn.tasks, Loop("l", "g", "e", "teacher", ""), PROFILE)


def test_notes_say_what_is_known_of_each_action():
    assert write_notes(ANY_MAPPING) == "nothing yet"
    assert write_notes(believed(1)) == "right 1"
    assert write_notes(believed(1, 2)) == "right 1, down 2, up or left 3, up or left 4"
    assert write_notes(believed(1, 2, 3)) == "right 1, down 2, up 3, left 4"


def test_what_the_notes_do_not_say_is_forgotten():
    edge = narrow(ANY_MAPPING, Moment(Lake(3, frozenset(), 1, 8, 9), 1, 1, 1, 1))  # up at the upper edge, and nothing else, leads nowhere
    assert (write_notes(edge), keep_noted(edge)) == ("up 1", edge)
    not_up = sum(1 << place for place, ways in enumerate(MAPPINGS) if ways[0] != 2)
    assert (write_notes(not_up), keep_noted(not_up)) == ("nothing yet", ANY_MAPPING)


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
