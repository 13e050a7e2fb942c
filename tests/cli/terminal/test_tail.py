"""The end of what a model writes or thinks."""

from codagent.cli.terminal.tail import Tail
from codagent.protocols import Thought


def test_the_end_is_kept_in_one_line_without_control_characters():
    tail = Tail()
    for piece in ("a" * 1000, "\n\x1b[2J", "", "end"):
        tail.add(piece)
    assert tail.shown().endswith("end")
    assert len(tail.shown()) <= 400
    assert "\x1b" not in tail.shown()


def test_thoughts_and_answers_do_not_mix():
    tail = Tail()
    tail.add(Thought("Hm, "))
    tail.add(Thought("what?"))
    assert (tail.shown(), tail.is_thought) == ("Hm, what?", True)
    tail.add("It is ")
    tail.add("this.")
    assert (tail.shown(), tail.is_thought) == ("It is this.", False)
