"""Records as loops leave them, made by hand, and what reading them came to."""

from dataclasses import replace

from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tokens

WHOLE = Sampling(0.7, 1.0, 0, 100)
SETTINGS = {"sandbox": "python", "sandbox_setup": {}}
SAID = Tokens((5, 6), (1, 2), (-0.5, -0.25))
PLAIN = Loop("", "g", "repository", "m", "abc", settings=SETTINGS)


def reply(*, policy="tiny#00 text", sampling=WHOLE, tokens=SAID):
    return Reply(Message("assistant", "so"), "stop", 2, 2, 0.0, tokens, sampling, policy, "so")


def episode(reward, replies, *, kind="solve", position=0):
    steps = tuple(Step(each, Observation(()), 0.1) for each in replies)
    outcome = None if reward is None else Outcome(reward, reward == 1, "")
    return Episode(kind, position, Task("t", "do it"), "", (Message("user", "do it"),), steps, "finished", outcome=outcome)


def write(folder, name, reward, *replies, end="finished", loop=PLAIN):
    """A record of one episode; the path of its file."""
    path = folder / name / "record.jsonl"
    record = Record(path, replace(loop, id=name))
    one = episode(reward, replies or (reply(),))
    record.on_episode_start(replace(one, steps=(), end=None, outcome=None))
    for step in one.steps:
        record.on_reply(step.reply, None)
        record.on_step(step)
    record.on_episode_end(one)
    if end:
        record.finish(end)
    record.close()
    return path


def refused(found):
    return [(each.kind, each.where.parent.name, each.reason) for each in found.rejections]


def ids(found):
    return [[loop.id for loop in group] for group in found.groups]
