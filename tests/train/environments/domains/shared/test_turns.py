"""What all domains share: prompts, memory, answers between tags."""

import pytest

from codagent.types import Message, Outcome, Task
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.shared.turns import TurnEnvironment, read_answer

FIRST, SECOND = Task("a", "first", seed=1), Task("b", "second", seed=2)


class Counting:
    """A Game that remembers how many answers it got."""

    rules, shows_reward = "Count.", True

    def __init__(self):
        self.answers = 0

    def begin(self, task):
        return Counted(self)

    def forget(self):
        self.answers = 0


class Counted:
    def __init__(self, game):
        self.game = game

    def observe(self):
        return str(self.game.answers)

    def act(self, reply):
        self.game.answers += 1
        return "finished" if reply == "end" else None

    def describe_state(self):
        return f"{self.game.answers} answers"

    def judge(self):
        return Outcome(1.0, True, "counted")


def first_sights(memory, *tasks):
    environment, seen = TurnEnvironment(Counting(), "terse", memory=memory), []
    for task in tasks:
        seen.append(environment.reset(task, "")[1].content)
        environment.step(Message("assistant", "end"))
    return seen


def test_only_with_memory_of_the_environment_something_is_left_of_earlier_tasks():
    assert first_sights("notes", FIRST, SECOND, FIRST) == ["0", "0", "0"]
    assert first_sights("environment", FIRST, SECOND, FIRST) == ["0", "1", "2"]


def test_a_task_that_is_given_again_begins_without_memory():
    assert first_sights("environment", FIRST, FIRST, FIRST) == ["0", "0", "0"]


def test_an_attempt_goes_on_until_an_answer_ends_it():
    environment = TurnEnvironment(Counting(), "terse")
    environment.reset(FIRST, "")
    assert [message.content for message in environment.step(Message("assistant", "on")).messages] == ["1"]
    last = environment.step(Message("assistant", "end"))
    assert (last.messages, last.end) == ((), "finished")
    assert environment.describe_state() == "2 answers"
    assert environment.grade() == Outcome(1.0, True, "counted")


def test_the_prompt_has_rules_and_notes_and_in_the_papers_wording_a_bound():
    terse = TurnEnvironment(Counting(), "terse").reset(FIRST, "use {rules}")[0].content
    assert terse == "Count.\nNotes: use {rules}"
    paper = TurnEnvironment(Counting(), "paper", tokens=77).reset(FIRST, "")[0].content
    assert paper.startswith("Count.\n")
    assert "(none yet)" in paper
    assert "within 77 tokens" in paper


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("I think <answer> 3 </answer>", "3"),
        ("<answer>a\nb</answer> done", "a\nb"),
        ("3", None),
        ("<answer>1</answer><answer>2</answer>", None),
        ("</answer>3<answer>", None),
        ("<answer>3", None),
    ],
)
def test_an_answer_is_read_from_the_only_pair_of_tags(reply, answer):
    assert read_answer(reply) == answer


def test_draws_keep_their_bounds_and_are_always_the_same():
    draws = Draws(5)
    assert {draws.integer(2, 4) for _ in range(100)} == {2, 3, 4}
    assert all(1.0 <= draws.real(1.0, 2.0) < 2.0 for _ in range(100))
    assert sorted(draws.shuffle(range(9))) == list(range(9))
    assert {draws.weighted("ab", [0, 1]) for _ in range(50)} == {"b"}
    assert [round(Draws(5).real(0, 1), 6), Draws(5).integer(0, 99), Draws(5).shuffle("abcd")] == [0.622902, 62, ["c", "d", "b", "a"]]
