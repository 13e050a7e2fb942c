from dataclasses import replace

import pytest

from codagent.agent.episode import Agent, run_episode
from codagent.errors import ContextOverflow, LimitReached, ModelError, Refusal, SandboxError
from codagent.models.scripted import Scripted
from codagent.types import Episode, Message, Observation, Profile, Reply, Sampling, Task, Tool

BEGUN = Episode("solve", 0, Task("t", "count"), "", ())


class Counter:
    """An environment whose only tool answers with what `answer` makes of the call's number."""

    tools = (Tool("go", "", {"type": "object", "properties": {}, "required": []}),)
    passes = False

    def __init__(self, answer=lambda n: Observation((Message("tool", f"ok {n}"),))):
        self.answer, self.count = answer, 0

    def reset(self, task, notes):
        return Message("system", "rules"), Message("user", task.instruction)

    def step(self, message):
        self.count += 1
        return self.answer(self.count)

    def grade(self):
        return None

    def save_work(self, outcome):
        return None

    def describe_state(self):
        return ""


class Log:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def on_episode_start(self, episode):
        self.heard.append("started")

    def on_reply(self, reply, context):
        self.heard.append("replied" if context is None else "replied, shortened")

    def on_step(self, step):
        self.heard.append("stepped")

    def on_episode_end(self, episode):
        self.heard.append("ended")


def work(model, environment, profile=None, observers=(), begun=BEGUN):
    return run_episode(Agent(model, profile or Profile(), observers), environment, begun)


def go(*, text=""):
    return {"content": text, "calls": [{"name": "go", "arguments": {}}]}


def script(*items):
    return Scripted.from_items(items)


def stop_at(number, end="finished"):
    return lambda n: Observation((Message("tool", f"ok {n}"),), end if n == number else None)


def test_an_episode_goes_on_until_the_environment_ends_it():
    log = Log()
    episode = work(script(*[go()] * 5), Counter(stop_at(3)), observers=[log])
    assert (episode.end, len(episode.steps)) == ("finished", 3)
    assert log.heard == ["started", *["replied", "stepped"] * 3]


def test_the_same_call_with_the_same_answer_three_times_ends_it():
    episode = work(script(*[go()] * 9), Counter(lambda n: Observation((Message("tool", "error: no"),))))
    assert (episode.end, len(episode.steps)) == ("repeated", 3)


def test_the_same_call_with_another_answer_goes_on():
    assert len(work(script(*[go()] * 9), Counter(stop_at(8))).steps) == 8


def test_a_model_that_stops_calling_tools_ends_it():
    nudge = Observation((Message("user", "call a tool"),))
    episode = work(script("one", "two", "three", "four"), Counter(lambda n: nudge))
    assert (episode.end, len(episode.steps)) == ("silent", 3)


def test_the_profile_bounds_the_steps():
    episode = work(script(*[go()] * 9), Counter(), Profile(steps=4))
    assert (episode.end, len(episode.steps)) == ("steps", 4)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (LimitReached("usd", "no money"), "usd"),
        (ModelError("endpoint down"), "model"),
        (Refusal("filtered: violence"), "refused"),
        (SandboxError("container gone"), "sandbox"),
    ],
)
def test_what_goes_wrong_is_data_and_the_steps_so_far_are_kept(error, end):
    def answer(number):
        if number == 2:
            raise error
        return Observation((Message("tool", "ok"),))

    episode = work(script(*[go()] * 9), Counter(answer))
    assert (episode.end, len(episode.steps)) == (end, 1)
    assert episode.cause == str(error)


def test_a_refusal_ends_it_with_its_category_and_its_calls_are_not_run():
    environment = Counter()
    episode = work(script(go(), go() | {"refusal": "content_filter"}, go()), environment)
    assert (episode.end, len(episode.steps), environment.count) == ("refused", 2, 1)
    assert episode.cause == "scripted refused to answer: content_filter; say the task in other words, or take another model"


def test_a_refusal_that_is_loaded_from_a_record_runs_no_calls():
    environment = Counter()
    refused = work(script(go() | {"refusal": "content_filter"}), Counter())
    again = work(script(go()), environment, begun=replace(refused, end=None))
    assert (again, environment.count) == (refused, 0)


def test_a_bug_is_not_swallowed():
    def answer(number):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(script(go()), Counter(answer))


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
    episode = work(model, Counter(long), observers=[log])
    assert (episode.end, len(episode.steps)) == ("finished", 12)
    assert "replied, shortened" in log.heard
    assert all(messages[:2] == episode.prompt for messages in model.asked)
    assert next(step.context for step in episode.steps if step.context) in model.asked


def test_replies_from_the_record_shorten_the_context_just_as_then():
    long = lambda n: Observation((Message("tool", f"ok {n}\n" + "long line of output\n" * 50),), "finished" if n == 12 else None)  # noqa: E731
    first = work(Narrow(7000), Counter(long))
    again = work(Scripted.from_steps(first.steps), Counter(long))
    timeless = lambda episode: [replace(step, seconds=0.0) for step in episode.steps]  # noqa: E731
    assert timeless(again) == timeless(first)


def test_without_memory_each_step_asks_the_same_with_another_seed_and_the_record_says_so():
    model, log = Narrow(7000), Log()
    profile = Profile(memory=0, sampling=Sampling(seed=7))
    episode = work(model, Counter(stop_at(3)), profile, [log])
    assert model.asked == [episode.prompt] * 3
    assert [step.context for step in episode.steps] == [None, episode.prompt, episode.prompt]
    assert model.seeds == [7, 8, 9]


def test_a_request_is_shortened_before_it_overflows_what_is_known_of_the_model():
    long = lambda n: Observation((Message("tool", "x\n" * 900),), "finished" if n == 20 else None)  # noqa: E731
    profile = Profile(context_tokens=8_000, sampling=Sampling(max_tokens=500), repeats=99)
    model = Narrow(1_000_000)
    work(model, Counter(long), profile)
    assert max(sum(len(message.content) for message in messages) for messages in model.asked) < 8_000 * 3


def test_an_episode_that_was_broken_off_goes_on_with_its_next_step_and_asks_for_nothing_twice():
    whole = work(script(*[go(text=str(n)) for n in range(4)]), Counter(stop_at(4)))
    log, environment = Log(), Counter(stop_at(4))
    begun = replace(whole, steps=whole.steps[:2], end=None)
    again = work(script(go(text="2"), go(text="3")), environment, observers=[log], begun=begun)
    assert [step.reply.message.content for step in again.steps] == ["0", "1", "2", "3"]
    assert (again.end, environment.count) == ("finished", 4)
    assert log.heard == ["replied", "stepped"] * 2


def test_a_reply_that_was_not_answered_is_answered_when_the_episode_goes_on():
    whole = work(script(go(text="0"), go(text="1")), Counter(stop_at(2)))
    unanswered = replace(whole.steps[1], observation=Observation((), "interrupted"))
    log = Log()
    again = work(script(), Counter(stop_at(2)), observers=[log], begun=replace(whole, steps=(whole.steps[0], unanswered), end=None))
    assert [step.observation.messages for step in again.steps] == [step.observation.messages for step in whole.steps]
    assert log.heard == ["stepped"]


def test_an_episode_whose_last_step_ended_it_is_over_when_it_goes_on():
    whole = work(script(go()), Counter(stop_at(1)))
    assert work(script(), Counter(stop_at(1)), begun=replace(whole, end=None)).end == "finished"


def test_half_a_character_in_a_reply_is_replaced_before_anything_is_done_with_it():
    heard = []

    class Hearing(Counter):
        def step(self, message):
            heard.append(message)
            return super().step(message)

    odd = {"content": "a\ud83d \ud83d" + "\ude00 \udcff", "calls": [{"name": "g\ud83d", "arguments": "{\ude00"}]}
    episode = work(Scripted.from_items([odd]), Hearing())
    (reply,) = (step.reply for step in episode.steps)
    assert reply.raw == reply.message.content == "a\ufffd \U0001f600 \udcff"
    assert [(call.name, call.arguments) for call in reply.message.tool_calls] == [("g\ufffd", "{\ufffd")]
    assert heard == [reply.message]


def test_a_reply_that_was_cut_is_told_and_the_next_has_twice_the_room():
    class Talker:
        name = "talker"

        def __init__(self):
            self.asked = []

        def reply(self, messages, tools, sampling, on_text=None):
            self.asked.append((sampling.max_tokens, messages[-1].content))
            stop = "length" if len(self.asked) in (1, 2) else "stop"
            text = f"text {len(self.asked)}"
            return Reply(Message("assistant", text), stop, 1, 1, None, None, sampling, "p", text)

    talker = Talker()
    ended = work(talker, Counter(), Profile(sampling=Sampling(max_tokens=100), steps=4, room_after_cut=2))
    assert [tokens for tokens, _ in talker.asked] == [100, 200, 200, 100]
    assert [text.startswith("Your last reply was cut off") for _, text in talker.asked] == [False, True, True, False]
    assert ended.steps[0].observation.messages[0].content.endswith("\n\nok 1")


class Cutting:
    """A model whose first text is cut."""

    name = "cutting"

    def __init__(self):
        self.replies = 0

    def reply(self, messages, tools, sampling, on_text=None):
        self.replies += 1
        message = Message("assistant", f"answer {self.replies}")
        return Reply(message, "length" if self.replies == 1 else "stop", 1, 1, 0.0, None, sampling, "cutting", message.content)


@pytest.mark.parametrize(("room", "steps"), [(2, 2), (1, 1)])
def test_a_text_that_was_cut_is_no_answer_yet_where_there_is_more_room(room, steps):
    ended = work(Cutting(), Counter(lambda _: Observation((), "finished")), Profile(room_after_cut=room))
    assert (ended.end, len(ended.steps)) == ("finished", steps)
