from dataclasses import replace

import pytest

from codagent.agent import run_episode
from codagent.errors import ContextOverflow, LimitReached, ModelError, SandboxError
from codagent.models.scripted import Scripted
from codagent.types import Message, Observation, Profile, Sampling, Task, Tool

TASK = Task("t", "count")


class Counter:
    """An environment whose only tool answers with what `answer` makes of the call's number."""

    tools = (Tool("go", "", {"type": "object", "properties": {}, "required": []}),)

    def __init__(self, answer=lambda n: Observation((Message("tool", f"ok {n}"),))):
        self.answer, self.count = answer, 0

    def reset(self, task, notes):
        return Message("system", "rules"), Message("user", task.instruction)

    def step(self, message):
        self.count += 1
        return self.answer(self.count)

    def grade(self):
        return None

    def keep(self, outcome):
        return None


class Log:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def started(self, episode):
        self.heard.append("started")

    def replied(self, reply, context):
        self.heard.append("replied" if context is None else "replied, shortened")

    def stepped(self, step):
        self.heard.append("stepped")

    def ended(self, episode):
        self.heard.append("ended")


def go(*, text=""):
    return {"content": text, "calls": [{"name": "go", "arguments": {}}]}


def script(*items):
    return Scripted.from_items(items)


def stop_at(number, end="finished"):
    return lambda n: Observation((Message("tool", f"ok {n}"),), end if n == number else None)


def test_an_episode_goes_on_until_the_environment_ends_it():
    log = Log()
    episode = run_episode(script(*[go()] * 5), Counter(stop_at(3)), TASK, profile=Profile(), observers=[log])
    assert (episode.end, len(episode.steps)) == ("finished", 3)
    assert log.heard == ["started", *["replied", "stepped"] * 3]


def test_the_same_call_with_the_same_answer_three_times_ends_it():
    episode = run_episode(script(*[go()] * 9), Counter(lambda n: Observation((Message("tool", "error: no"),))), TASK, profile=Profile())
    assert (episode.end, len(episode.steps)) == ("repeated", 3)


def test_the_same_call_with_another_answer_goes_on():
    assert len(run_episode(script(*[go()] * 9), Counter(stop_at(8)), TASK, profile=Profile()).steps) == 8


def test_a_model_that_stops_calling_tools_ends_it():
    nudge = Observation((Message("user", "call a tool"),))
    episode = run_episode(script("one", "two", "three", "four"), Counter(lambda n: nudge), TASK, profile=Profile())
    assert (episode.end, len(episode.steps)) == ("silent", 3)


def test_the_profile_bounds_the_steps():
    episode = run_episode(script(*[go()] * 9), Counter(), TASK, profile=Profile(steps=4))
    assert (episode.end, len(episode.steps)) == ("steps", 4)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (LimitReached("usd", "no money"), "usd"),
        (ModelError("endpoint down"), "model"),
        (SandboxError("container gone"), "sandbox"),
    ],
)
def test_what_goes_wrong_is_data_and_the_steps_so_far_are_kept(error, end):
    def answer(number):
        if number == 2:
            raise error
        return Observation((Message("tool", "ok"),))

    episode = run_episode(script(*[go()] * 9), Counter(answer), TASK, profile=Profile())
    assert (episode.end, len(episode.steps)) == (end, 1)
    assert episode.cause == str(error)


def test_a_bug_is_not_swallowed():
    def answer(number):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_episode(script(go()), Counter(answer), TASK, profile=Profile())


class Narrow:
    """A model that refuses more than `most` characters."""

    name = "narrow"

    def __init__(self, most):
        self.most, self.inner, self.asked, self.seeds = most, script(*[go()] * 50), [], []

    def reply(self, messages, tools, sampling):
        size = sum(len(message.content) for message in messages)
        if size > self.most:
            raise ContextOverflow("too long")
        self.asked.append(messages)
        self.seeds.append(sampling.seed)
        return replace(self.inner.reply(messages, tools, sampling), prompt_tokens=size // 3)

    def close(self):
        pass


def test_a_request_that_is_too_long_is_shortened_and_the_rules_stay():
    long = lambda n: Observation((Message("tool", f"ok {n}\n" + "long line of output\n" * 50),), "finished" if n == 12 else None)  # noqa: E731
    model, log = Narrow(7000), Log()
    episode = run_episode(model, Counter(long), TASK, profile=Profile(), observers=[log])
    assert (episode.end, len(episode.steps)) == ("finished", 12)
    assert "replied, shortened" in log.heard
    assert all(messages[:2] == episode.prompt for messages in model.asked)
    assert next(step.context for step in episode.steps if step.context) in model.asked


def test_replies_from_the_record_shorten_the_context_just_as_then():
    long = lambda n: Observation((Message("tool", f"ok {n}\n" + "long line of output\n" * 50),), "finished" if n == 12 else None)  # noqa: E731
    first = run_episode(Narrow(7000), Counter(long), TASK, profile=Profile())
    again = run_episode(Scripted.from_steps(first.steps), Counter(long), TASK, profile=Profile())
    timeless = lambda episode: [replace(step, seconds=0.0) for step in episode.steps]  # noqa: E731
    assert timeless(again) == timeless(first)


def test_without_memory_each_step_asks_the_same_with_another_seed_and_the_record_says_so():
    model, log = Narrow(7000), Log()
    profile = Profile(memory=0, sampling=Sampling(seed=7))
    episode = run_episode(model, Counter(stop_at(3)), TASK, profile=profile, observers=[log])
    assert model.asked == [episode.prompt] * 3
    assert [step.context for step in episode.steps] == [None, episode.prompt, episode.prompt]
    assert model.seeds == [7, 8, 9]


def test_a_request_is_shortened_before_it_overflows_what_is_known_of_the_model():
    long = lambda n: Observation((Message("tool", "x\n" * 900),), "finished" if n == 20 else None)  # noqa: E731
    profile = Profile(context_tokens=8_000, sampling=Sampling(max_tokens=500), repeats=99)
    model = Narrow(1_000_000)
    run_episode(model, Counter(long), TASK, profile=profile)
    assert max(sum(len(message.content) for message in messages) for messages in model.asked) < 8_000 * 3
