"""Episodes one after the other, and what becomes of each when it is over."""

from codagent.errors import ModelError, SandboxError
from codagent.loop import run_loop
from codagent.models.scripted import Scripted
from codagent.types import Loop, Message, Observation, Outcome, Profile, Task

LOOP = Loop("id", "group", "room", "scripted", "start")
TASKS = [Task("one", "first"), Task("two", "second")]
CALLS = [{"calls": [{"name": "go", "arguments": {}}]}] * 4


class Room:
    """An environment that ends each episode at its first step with what `step` does."""

    tools = ()

    def __init__(self, step=lambda: Observation((Message("tool", "ok"),), "finished")):
        self._step, self.asked = step, []

    def reset(self, task, notes):
        self.asked.append(f"reset {task.id}")
        return (Message("user", task.instruction),)

    def step(self, message):
        return self._step()

    def grade(self):
        self.asked.append("grade")
        return Outcome(1.0, True, "")

    def keep(self, outcome):
        self.asked.append("keep" if outcome else "keep ungraded")
        return "commit"


def run(room):
    return run_loop(Scripted.from_items(CALLS), room, TASKS, loop=LOOP, profile=Profile())


def broken(error):
    def step():
        raise error

    return Room(step)


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
