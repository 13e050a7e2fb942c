"""What notes say of the mapping, in many wordings."""

import pytest

from codagent_train.evaluation.notes_parser import MappingAccuracy, score_notes, stated_directions

DOWN, RIGHT, UP, LEFT = range(4)
TRUE = (DOWN, LEFT, RIGHT, UP)


@pytest.mark.parametrize(
    "notes",
    [
        "1 = down",
        "1: down",
        "1 -> Down",
        "1 → down",
        "- `1` is **down**",
        '{"1": "down"}',
        "| 1 | down |",
        "1. down",
        "1) Down.",
        "(1, down)",
        "digit 1 means down",
        "1 went down",
        "1 went down into a hole",
        "1 goes downwards",
        "Direction 1 moves the player down",
        "Direction 1 was taken at (2, 2) in turn 3 of 8 and moved the player down",
        "<answer>Direction 1</answer> moves down",
        "Action 1 corresponds to the direction Down",
        "1 stands for down, not for left",
        "down = 1",
        "down: 1",
        "down is Direction 1.",
        "To go down, use 1.",
        "For down answer `1`",
    ],
)
def test_one_action_in_many_words(notes):
    assert stated_directions(notes) == {1: {DOWN}}


@pytest.mark.parametrize(
    "notes",
    [
        "1 = down, 2 = left, 3 = right, 4 = up",
        "1 down 2 left 3 right 4 up",
        "1. down\n2. left\n3. right\n4. up",
        "down 1; left 2; right 3; up 4",
        "down is 1, left is 2, right is 3, up is 4",
        "1, 2, 3, 4 are down, left, right and up",
        "1/2/3/4 = down/left/right/up",
        "Direction 1 moves down. Direction 2 moves left. Direction 3 moves right. Direction 4 moves up.",
        "## Facts\n- Direction 1: down\n- Direction 2: left\n- Direction 3: right\n- Direction 4: up\n## Next\n1. Go right first.",
        "down is 1. left is 2. right is 3. up is 4.",
    ],
)
def test_all_four_at_once(notes):
    assert score_notes(notes, TRUE) == MappingAccuracy(right=4, wrong=0)


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "The mapping is unknown.",
        "1 is not down",
        "1 doesn't move down",
        "1 is up or left",
        "1 = up/left",
        "1 hit the edge",
        "1 and 3 = down",
        "The digits 1, 2, 3, 4 stand for down, right, up, left in a secret order",
        "4 directions: down, right, up, left",
        "Directions 1-4 stand for down, right, up and left",
        "1. Go down first, then look",
        "reached the goal in 3 of 8 turns by going down",
        "from (1, 2) go down",
        "2 turns left",
        "reward 0.1 for going down",
        "Take turn 2 left of the hole",
    ],
)
def test_what_is_no_statement(notes):
    assert stated_directions(notes) == {}


def test_what_is_said_twice_must_agree():
    assert stated_directions("1 = down\n1 = up") == {1: {DOWN, UP}}
    assert score_notes("1 = down\n1 = up\n2 = left\n2: left", TRUE) == MappingAccuracy(right=1, wrong=1)


@pytest.mark.parametrize(
    ("notes", "whole"),
    [
        ("1 = down, 2 = left", False),
        ("1 = down, 2 = left, 3 = right", True),
        ("1 = down, 2 = left, 3 = right, 4 = left", False),
        ("1 = down, 2 = left, 3 = right, 4 = up", True),
    ],
)
def test_three_right_ones_tell_the_fourth_unless_something_is_wrong(notes, whole):
    assert score_notes(notes, TRUE).is_complete is whole
