"""Episodes one after the other, what becomes of each when it is over, and what is carried on."""

from dataclasses import replace

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.errors import ModelError, RepositoryError, SandboxError
from codagent.models.scripted import Scripted
from codagent.protocols import Stop
from codagent.types import Loop, Message, Observation, Outcome, Profile, Sampling, Task

LOOP = Loop("id", "group", "room", "scripted", "start")
TASKS = [Task("one", "first"), Task("two", "second")]
GO = {"calls": [{"name": "go", "arguments": {}}]}


def written(text):
    return f"I think.\n<notes>\n{text}\n</notes>"


class Room:
    """An environment that ends each episode at its first step with what `step` does."""

    tools = ()
    passes = False

    def __init__(self, step=lambda: Observation((Message("tool", "ok"),), "finished")):
        self._step, self.asked = step, []

    def reset(self, task, notes):
        self.asked.append(f"reset {task.id} {notes}".strip())
        return (Message("user", task.instruction),)

    def step(self, message):
        return self._step()

    def grade(self):
        self.asked.append("grade")
        return Outcome(1.0, True, "")

    def save_work(self, outcome):
        self.asked.append("keep" if outcome else "keep ungraded")
        return "commit"

    def describe_state(self):
        return "it stands as it stood"


class Asked:
    """A scripted model that remembers how it was asked."""

    name = "asked"

    def __init__(self, *items):
        self._inner, self.requests, self.samplings = Scripted.from_items(items), [], []

    def reply(self, messages, tools, sampling):
        self.requests.append(messages)
        self.samplings.append(sampling)
        return self._inner.reply(messages, tools, sampling)

    def close(self):
        pass


def run(room, *items, loop=LOOP, notes_io=None, model=None, profile=None, next_task=None):
    agent = Agent(model or Scripted.from_items(items or [GO] * 4), profile or Profile())
    return run_loop(agent, room, next_task or once_each(TASKS), loop=loop, notes_io=notes_io or NotesIO())


def until_passed(loop):
    """Each task once; the loop has passed when the last of them has."""
    following = once_each(TASKS)(loop)
    return Stop("passed" if loop.attempts[-1].outcome.passed else "iterations") if isinstance(following, Stop) else following


def broken(error):
    def step():
        raise error

    return Room(step)


def kinds(loop):
    return [(episode.kind, episode.position) for episode in loop.episodes]


def test_each_task_is_an_episode_graded_and_kept():
    room = Room()
    loop = run(room)
    assert [(episode.position, episode.task.id, episode.end, episode.commit) for episode in loop.episodes] == [
        (0, "one", "finished", "commit"),
        (1, "two", "finished", "commit"),
    ]
    assert room.asked == ["reset one", "grade", "keep", "reset two", "grade", "keep"]


def test_an_interrupted_episode_is_kept_without_waiting_for_gates_and_is_the_last():
    room = broken(KeyboardInterrupt())
    assert [episode.end for episode in run(room).episodes] == ["interrupted"]
    assert room.asked == ["reset one", "keep ungraded"]


def test_the_work_of_an_episode_whose_model_failed_is_still_graded():
    room = broken(ModelError("down"))
    assert [(episode.end, episode.outcome.passed) for episode in run(room).episodes] == [("model", True)]
    assert room.asked == ["reset one", "grade", "keep"]


def test_a_broken_sandbox_has_nothing_to_give():
    room = broken(SandboxError("gone"))
    assert [(episode.end, episode.cause) for episode in run(room).episodes] == [("sandbox", "gone")]
    assert room.asked == ["reset one"]


def test_work_that_cannot_be_brought_back_is_worth_nothing_and_the_loop_goes_on():
    class Refusing(Room):
        def grade(self):
            raise RepositoryError("too large")

    loop = run(Refusing())
    assert [(episode.end, episode.outcome.reward, episode.outcome.feedback) for episode in loop.episodes] == [
        ("repository", 0.0, "too large")
    ] * 2


@pytest.mark.parametrize(
    ("rewrite", "expected"),
    [
        ("never", [("solve", 0), ("solve", 1)]),
        ("between", [("solve", 0), ("notes", 0), ("solve", 1)]),
        ("until-passed", [("solve", 0), ("notes", 0), ("solve", 1)]),
        ("always", [("solve", 0), ("notes", 0), ("solve", 1), ("notes", 1)]),
    ],
)
def test_notes_are_rewritten_when_they_are_to_be(rewrite, expected):
    room = Room()
    items = [GO, written("a"), GO, written("b")] if rewrite != "never" else [GO, GO]
    loop = run(room, *items, notes_io=NotesIO(rewrite), next_task=until_passed)
    assert kinds(loop) == expected
    assert room.asked[3] == ("reset two" if rewrite == "never" else "reset two a")
    assert loop.latest_notes == {"never": "", "always": "b"}.get(rewrite, "a")


def test_notes_are_rewritten_after_the_last_attempt_when_it_did_not_pass():
    room = Room()
    room.grade = lambda: Outcome(0.5, False, "")
    loop = run(room, GO, written("a"), GO, written("b"), notes_io=NotesIO("until-passed"), next_task=until_passed)
    assert (kinds(loop)[-1], loop.latest_notes, loop.end) == (("notes", 1), "b", "iterations")


def test_what_a_person_wrote_into_the_notes_is_what_the_next_episode_gets():
    room, kept = Room(), []
    run(room, GO, written("ours"), GO, written("b"), notes_io=NotesIO("always", lambda ours: f"{ours} and mine", kept.append))
    assert room.asked[3] == "reset two ours and mine"
    assert [episode.notes_after for episode in kept] == ["ours", "b"]


def test_each_episode_starts_with_a_fresh_context():
    model = Asked(GO, written("a"), GO)
    run(Room(), model=model, notes_io=NotesIO("between"))
    assert [len(messages) for messages in model.requests] == [1, 2, 1]
    assert model.requests[2] == (Message("user", "second"),)


def test_later_attempts_are_sampled_warmer_and_with_other_seeds_but_not_above_one():
    model = Asked(GO, GO)
    run(Room(), model=model, profile=Profile(sampling=Sampling(temperature=0.7, seed=3)))
    assert [(sampling.temperature, sampling.seed) for sampling in model.samplings] == [(0.7, 3), (0.8, 1003)]
    hot = Asked(GO, GO)
    run(Room(), model=hot, profile=Profile(sampling=Sampling(temperature=1.2)))
    assert [sampling.temperature for sampling in hot.samplings] == [1.2, 1.2]


def test_a_loop_goes_on_from_every_point_at_which_it_was_broken_off():
    items = [GO, written("a"), GO, written("b")]
    whole = run(Room(), *items, notes_io=NotesIO("always"))
    for count in range(5):
        begun = replace(whole, episodes=whole.episodes[:count], end=None)
        again = run(Room(), *(items[count:] or [GO]), loop=begun, notes_io=NotesIO("always"))
        assert (kinds(again), again.latest_notes, again.end) == (kinds(whole), whole.latest_notes, whole.end)


def test_an_episode_whose_model_was_down_goes_on_and_is_no_iteration_of_its_own():
    down = run(Room(), GO, written("a"), notes_io=NotesIO("always"))
    assert (kinds(down)[-1], down.end) == (("solve", 1), "model")
    episode = replace(down.episodes[-1], outcome=None)
    again = run(Room(), GO, written("b"), loop=replace(down, episodes=(*down.episodes[:-1], episode)), notes_io=NotesIO("always"))
    assert kinds(again) == [("solve", 0), ("notes", 0), ("solve", 1), ("notes", 1)]
