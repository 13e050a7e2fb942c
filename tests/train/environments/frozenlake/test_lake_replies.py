"""The notes of best play: what they say, and what their reader believes."""

from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, narrow
from codagent_train.environments.frozenlake.lake_replies import keep_noted, write_notes
from codagent_train.environments.frozenlake.rules import MAPPINGS, Lake, Moment, apply_action

RIGHT_FIRST = (1, 0, 2, 3)  # action 1 moves right, 2 down, 3 up, 4 left


def believed(*codes: int) -> int:
    """What is believed of an open lake of 3 by 3 after these actions from its middle, one at a time."""
    open_lake, belief = Lake(3, frozenset(), 4, 8, 9), ANY_MAPPING
    for code in codes:
        belief = narrow(belief, apply_action(Moment(open_lake, 4), code, RIGHT_FIRST))
    return belief


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
