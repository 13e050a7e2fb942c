from typing import get_args

import pytest

from codagent.runner.endings import ENDINGS, label_of, sentence_of
from codagent.runner.planning.stop import Ending
from codagent.runner.result import kind_of
from codagent.types import End, Loop

ENDS = {word for alias in (End, Ending) for literal in get_args(alias) for word in (get_args(literal) or (literal,))}


def test_every_way_to_end_has_words():
    assert set(ENDINGS) >= ENDS


@pytest.mark.parametrize(
    ("end", "label"), [("steps", "out of steps"), ("silent", "no tool call"), ("stalled", "no progress"), ("odd", "odd")]
)
def test_a_table_has_words_of_people(end, label):
    assert label_of(end) == label


@pytest.mark.parametrize(("end", "sentence"), [("model", "stopped: the model did not answer"), ("odd", "ended: odd"), (None, "broken off")])
def test_an_end_is_a_sentence(end, sentence):
    assert sentence_of(end) == sentence


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"job": {"session": True}}, "session"), ({"job": {"iterate": True}}, "loop"), ({"job": {"iterate": False}}, "run"), ({}, "loop")],
)
def test_a_record_has_the_name_of_what_began_it(settings, kind):
    assert kind_of(Loop("id", "id", "repository", "m", "start", settings=settings)) == kind
