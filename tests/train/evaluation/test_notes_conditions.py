"""Whose notes are solved with, position by position."""

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import once_each, run_loop
from codagent.errors import UsageError
from codagent.models.scripted import Scripted
from codagent.types import Loop, Profile
from codagent_train.environments.frozenlake.environment import FrozenLake, pack
from codagent_train.environments.frozenlake.rules import EASY, mapping
from codagent_train.environments.frozenlake.wording import TERSE
from codagent_train.evaluation import notes_conditions
from codagent_train.evaluation.report import Played

PACKS = [pack(EASY, "test", number) for number in range(6)]


def rolled(number, carry, replies=("no",) * 4):
    """A loop in which no task gets an answer."""
    drawn, agent = PACKS[number], Agent(Scripted.from_items(replies), Profile())
    return run_loop(
        agent, FrozenLake(EASY, drawn.seed, TERSE), once_each(drawn.tasks), loop=Loop("l", "g", "lake", "m", ""), notes_io=carry
    )


def writing(name, number):
    """A loop that writes notes with a name on them."""
    said = ["no", *(text for place in range(1, 4) for text in (f"<notes>{name}{place}</notes>", "no"))]
    return rolled(number, notes_conditions.own(1, 1)[0][0], said)


def used(loop):
    return [episode.notes_before for episode in loop.episodes if episode.kind == "solve"]


def test_own_notes_are_those_written_after_the_task_before():
    assert used(writing("a", 0)) == ["", "a1", "a2", "a3"]


def test_without_notes_none_are_used_or_written():
    cast = notes_conditions.without(2, 3)
    assert {number: len(carries) for number, carries in cast.items()} == {0: 3, 1: 3}
    loop = rolled(0, cast[0][0])
    assert used(loop) == [""] * 4
    assert len(loop.episodes) == 4


def test_given_notes_are_used_again_position_by_position():
    cast = notes_conditions.again([Played(5, PACKS[5], (writing("a", 5), writing("b", 5)))])
    assert [used(rolled(5, carry)) for carry in cast[5]] == [["", "a1", "a2", "a3"], ["", "b1", "b2", "b3"]]


def test_notes_of_another_pack_come_from_one_with_another_mapping():
    played = [Played(number, PACKS[number], (writing("abcdef"[number], number),)) for number in range(6)]
    for number, (carry,) in notes_conditions.of_another_pack(played).items():
        first, *rest = used(rolled(number, carry))
        assert first == ""
        assert mapping(PACKS["abcdef".index(rest[0][0])].seed) != mapping(PACKS[number].seed)
        assert [note[1] for note in rest] == ["1", "2", "3"]


def test_a_loop_that_was_broken_off_has_no_notes_to_give():
    broken = rolled(1, notes_conditions.own(1, 1)[0][0], ["no", "<notes>c</notes>"])
    played = [
        Played(0, PACKS[0], (writing("a", 0),)),
        Played(1, PACKS[1], (broken, writing("b", 1))),
        Played(2, PACKS[2], (broken,)),
    ]
    assert {number: len(carries) for number, carries in notes_conditions.again(played).items()} == {0: 1, 1: 1}
    assert used(rolled(0, notes_conditions.of_another_pack(played)[0][0])) == ["", "b1", "b2", "b3"]


def test_packs_that_are_all_alike_have_no_other():
    only = Played(0, PACKS[0], (writing("a", 0),))
    with pytest.raises(UsageError, match="2, have the same mapping"):
        notes_conditions.of_another_pack([only, only])
