"""FrozenLake in a closed vocabulary: what a model reads and writes, word by word."""

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.types import Loop, Message, Profile, Reply, Sampling
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, Lake, Moment, apply_action, draw_mapping
from codagent_train.environments.frozenlake.wording import WORDS
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.evaluation.notes_parser import score_notes

STRAIGHT = (0, 1, 2, 3)  # action 1 moves down, 2 right, 3 up, 4 left
# P _ _
# O O _
# _ _ G
CORNER = Lake(3, frozenset({3, 4}), start=0, goal=8, turns=4)


def test_the_vocabulary_has_369_words_and_answers_come_first():
    assert len(set(VOCABULARY.words)) == len(VOCABULARY.words) == 369
    assert VOCABULARY.words[:4] == words.ACTIONS
    assert VOCABULARY.ends == {0, 1, 2, 3}


def test_a_turn_is_what_came_of_the_last_action_where_the_goal_is_and_what_is_around():
    begun = Moment(CORNER, CORNER.start)
    assert words.describe_state(begun) == "@start r2c2 [O.##]"
    assert words.describe_state(apply_action(begun, 2, STRAIGHT)) == "2>right r2c1 [O.#.]"
    assert words.describe_state(apply_action(begun, 4, STRAIGHT)) == "4>edge r2c2 [O.##]"
    assert words.describe_state(apply_action(begun, 1, STRAIGHT)) == "1>down"  # into the hole: play is over


def test_a_goal_far_away_is_told_as_four_cells_away():
    wide = Lake(7, frozenset(), start=0, goal=48, turns=10)
    assert words.describe_state(Moment(wide, 0)) == "@start r4c4 [..##]"
    assert words.describe_state(Moment(wide, 47)) == "@start r0c1 [#G..]"


@pytest.mark.parametrize(("text", "code"), [("go-3", 3), ("go-5", None), ("go-1 go-2", None), ("", None), ("1>down", None)])
def test_an_answer_is_one_word(text, code):
    assert words.parse_answer(text) == code


def test_words_are_read_and_other_text_is_skipped():
    messages = (Message("system", "@notes ? ? 1>up ?"), Message("user", "error: please say <notes> @start r0c1 [....]"))
    assert [VOCABULARY.words[number] for number in VOCABULARY.encode(messages)] == [
        "@notes",
        "?",
        "?",
        "1>up",
        "?",
        "@start",
        "r0c1",
        "[....]",
    ]


@pytest.mark.parametrize("text", ["go-2", "<notes>1>down ? r0c1 [.O#G]</notes>", "go-1 ?", "@start go-1"])
def test_a_reply_is_the_same_after_encoding_and_decoding(text):
    assert VOCABULARY.decode(VOCABULARY.encode_reply(text)) == text


def test_notes_with_a_word_that_is_not_for_notes_are_none():
    assert VOCABULARY.decode(VOCABULARY.encode_reply("1>down @start ? ?")) == "1>down @start ? ?"


def test_notes_in_words_can_be_scored():
    assert (score_notes("1>down r1c-2 ? 2>left", (0, 3, 1, 2)).right, score_notes("1>up [.O#G] 3>edge", (0, 3, 1, 2)).wrong) == (2, 1)


class Tracker:
    """A Model that walks in a square, keeps its prompts, and quotes the last result four times."""

    name = "tracker"

    def __init__(self, bad=()):
        self.asked, self._bad = [], list(bad)

    def reply(self, messages, tools, sampling):
        self.asked.append(VOCABULARY.encode(messages))
        text = words.ACTIONS[len(self.asked) % 4]
        if words.WRITE in messages[-1].content.split() or "error" in messages[-1].content:
            text = self._bad.pop(0) if self._bad else "<notes>1>up ? ? ?</notes>"
        return Reply(Message("assistant", text), "stop", 1, 1, 0.0, None, Sampling(), "tracker", text)

    def close(self):
        pass


def play(model):
    pack = make_lake_pack(EASY, "test", 3, form=WORDS)
    agent = Agent(model, Profile(prompt="terse", notes_tokens=40, repeats=1000))
    return run_loop(
        agent, FrozenLake(EASY, pack.seed, WORDS), once_each(pack.tasks), loop=Loop("l", "g", "f", "m", ""), notes_io=NotesIO("between")
    )


def test_the_request_for_notes_goes_on_where_the_attempt_ended():
    model = Tracker()
    loop = play(model)
    first, notes = loop.episodes[:2]
    turns = len(first.steps)
    before, asked = model.asked[turns - 1], model.asked[turns]
    assert asked[: len(before)] == before
    assert [VOCABULARY.words[number] for number in asked[len(before) :]][-2:] == [first.outcome.feedback, words.WRITE]
    assert VOCABULARY.words[asked[len(before)]] == first.steps[-1].reply.message.content
    assert notes.notes_after == "1>up ? ? ?"
    assert [VOCABULARY.words[number] for number in model.asked[turns + 1]][:5] == ["@notes", "1>up", "?", "?", "?"]


def test_malformed_notes_are_asked_for_once_more_and_then_the_old_ones_stay():
    model = Tracker(bad=["go-1", "go-2"])
    loop = play(model)
    assert (loop.episodes[1].outcome.reward, loop.episodes[1].notes_after) == (-0.1, "")
    assert play(Tracker(bad=["go-1"])).episodes[1].outcome.passed


def test_the_first_task_has_notes_that_say_nothing():
    prompt = play(Tracker()).episodes[0].prompt
    assert prompt[0].content == "@notes ? ? ? ?"
    assert draw_mapping(make_lake_pack(EASY, "test", 3).seed)
