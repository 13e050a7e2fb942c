"""Whose notes are solved with, position by position."""

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import once_each, run_loop
from codagent.errors import UsageError
from codagent.models.scripted import Scripted
from codagent.types import Loop, Profile
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, draw_mapping
from codagent_train.environments.frozenlake.wording import TERSE
from codagent_train.evaluation import notes_conditions
from codagent_train.evaluation.report import PackResult

PACKS = [make_lake_pack(EASY, "test", number) for number in range(6)]


def rolled(number, carry, replies=("no",) * 4):
    """A loop in which no task gets an answer."""
    drawn, agent = PACKS[number], Agent(Scripted.from_items(replies), Profile())
    return run_loop(
        agent, FrozenLake(EASY, drawn.seed, TERSE), once_each(drawn.tasks), loop=Loop("l", "g", "lake", "m", ""), notes_io=carry
    )


def writing(name, number):
    """A loop that writes notes with a name on them."""
    said = ["no", *(text for place in range(1, 4) for text in (f"<notes>{name}{place}</notes>", "no"))]
    return rolled(number, notes_conditions.own_notes(1, 1)[0][0], said)


def used(loop):
    return [episode.notes_before for episode in loop.episodes if episode.kind == "solve"]


def test_own_notes_are_those_written_after_the_task_before():
    assert used(writing("a", 0)) == ["", "a1", "a2", "a3"]


def test_without_notes_none_are_used_or_written():
    cast = notes_conditions.no_notes(2, 3)
    assert {number: len(carries) for number, carries in cast.items()} == {0: 3, 1: 3}
    loop = rolled(0, cast[0][0])
    assert used(loop) == [""] * 4
    assert len(loop.episodes) == 4


def test_given_notes_are_used_again_position_by_position():
    cast = notes_conditions.replay_notes([PackResult(5, PACKS[5], (writing("a", 5), writing("b", 5)))])
    assert [used(rolled(5, carry)) for carry in cast[5]] == [["", "a1", "a2", "a3"], ["", "b1", "b2", "b3"]]


def test_notes_of_another_pack_come_from_one_with_another_mapping():
    played = [PackResult(number, PACKS[number], (writing("abcdef"[number], number),)) for number in range(6)]
    for number, (carry,) in notes_conditions.shuffle_notes(played).items():
        first, *rest = used(rolled(number, carry))
        assert first == ""
        assert draw_mapping(PACKS["abcdef".index(rest[0][0])].seed) != draw_mapping(PACKS[number].seed)
        assert [note[1] for note in rest] == ["1", "2", "3"]


def test_a_loop_that_was_broken_off_has_no_notes_to_give():
    broken = rolled(1, notes_conditions.own_notes(1, 1)[0][0], ["no", "<notes>c</notes>"])
    played = [
        PackResult(0, PACKS[0], (writing("a", 0),)),
        PackResult(1, PACKS[1], (broken, writing("b", 1))),
        PackResult(2, PACKS[2], (broken,)),
    ]
    assert {number: len(carries) for number, carries in notes_conditions.replay_notes(played).items()} == {0: 1, 1: 1}
    assert used(rolled(0, notes_conditions.shuffle_notes(played)[0][0])) == ["", "b1", "b2", "b3"]


def test_packs_that_are_all_alike_have_no_other():
    only = PackResult(0, PACKS[0], (writing("a", 0),))
    with pytest.raises(UsageError, match="all 2 packs have the same mapping"):
        notes_conditions.shuffle_notes([only, only])
