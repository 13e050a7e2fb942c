"""The episode that writes the notes anew."""

from dataclasses import replace

import pytest

from codagent.agent.episode import Agent
from codagent.agent.notes import MALFORMED, Rewrite, bound_notes, compare_values, rewrite_notes
from codagent.models.scripted import Scripted
from codagent.types import Episode, Message, Observation, Outcome, Profile, Reply, Sampling, Step, Task, ToolCall

TASK = Task("t", "mend the parser")


def step(command, answer):
    message = Message("assistant", "I try.", (ToolCall("c", "bash", f'{{"command": "{command}"}}'),))
    reply = Reply(message, "tool_calls", 1, 1, 0.0, None, Sampling(), "p", "")
    return Step(reply, Observation((Message("tool", answer, tool_call_id="c"),)), 0.1)


SOLVED = Episode(
    "solve",
    2,
    TASK,
    "old",
    (),
    (step("pytest", "exit 1\n2 failed"),),
    "finished",
    outcome=Outcome(0.5, False, "test_a failed", ("test_a",)),
)


def rewrite(*answers, tokens=100):
    agent = Agent(Scripted.from_items(answers), Profile(notes_tokens=tokens))
    return rewrite_notes(agent, Episode("notes", 2, TASK, "old", ()), SOLVED, "-x\n+y")


def test_notes_are_what_stands_between_the_markers():
    episode = rewrite("Because of this.\n<notes>\n## Facts\n- it is so\n</notes>")
    assert (episode.notes_after, episode.end, episode.outcome.reward) == ("## Facts\n- it is so", "finished", 0.0)
    assert (episode.kind, episode.position, len(episode.steps)) == ("notes", 2, 1)


def test_the_writer_is_shown_the_old_notes_the_attempt_what_it_changed_and_the_gates_word():
    system, asked = rewrite("<notes>x</notes>").prompt
    assert system.content.startswith("You keep the notes")
    for part in (
        "mend the parser",
        "Old notes: old",
        "[bash]",
        "2 failed",
        "It ended: finished.",
        "-x\n+y",
        "What the gates say: test_a failed",
        "Reward: 0.50 of 1",
    ):
        assert part in asked.content


@pytest.mark.parametrize(
    "bad", ["no markers", "<notes> \n </notes>", "<notes>a</notes> or <notes>b</notes>", "<notes>torn", f"<notes>{'x' * 301}</notes>"]
)
def test_a_bad_answer_is_asked_for_once_more(bad):
    episode = rewrite(bad, "<notes>good</notes>")
    assert (episode.notes_after, episode.outcome.reward, len(episode.steps)) == ("good", 0.0, 2)
    assert episode.steps[0].observation.messages[0].content.startswith("error: ")


@pytest.mark.parametrize(
    "twice", ["<notes><notes>a</notes>", "<notes>a</notes></notes>", "</notes> or <notes>a</notes>", "I write <notes>: <notes>a</notes>"]
)
def test_each_tag_occurs_only_once(twice):
    episode = rewrite(twice, "<notes>good</notes>")
    assert (episode.notes_after, len(episode.steps)) == ("good", 2)
    assert "must occur only once" in episode.steps[0].observation.messages[0].content


def test_an_environment_asks_in_its_own_words_and_says_how_much_room_there_is():
    class Game:
        def ask_for_notes(self, attempt, *, max_words, max_bytes):
            return (Message("user", f"{attempt.outcome.feedback}, {max_words} words, {max_bytes} bytes"),)

    profile = Profile(notes_tokens=100, context_tokens=5000, sampling=Sampling(max_tokens=1000))
    episode = rewrite_notes(
        Agent(Scripted.from_items(["no", "<notes>good</notes>"]), profile), Episode("notes", 2, TASK, "old", ()), SOLVED, "", Game()
    )
    assert episode.prompt == (Message("user", "test_a failed, 42 words, 12000 bytes"),)
    again = episode.steps[0].observation.messages[0].content
    assert again.startswith("error: there is nothing between <notes> and </notes>. Write the notes anew for the next task")
    assert "code" not in again  # its tasks are not about code
    assert episode.notes_after == "good"


def test_a_model_without_memory_is_asked_once_more_as_if_for_the_first_time():
    asked = []

    class Asked(Scripted):
        def reply(self, messages, tools, sampling):
            asked.append((messages, sampling.seed))
            return super().reply(messages, tools, sampling)

    agent = Agent(Asked.from_items(["bad", "<notes>good</notes>"]), Profile(memory=0, sampling=Sampling(seed=7)))
    assert rewrite_notes(agent, Episode("notes", 2, TASK, "old", ()), SOLVED, "-x\n+y").notes_after == "good"
    (first, seed), (second, another) = asked
    assert first == second
    assert (seed, another) == (7, 8)


def test_after_two_bad_answers_the_old_notes_stay_and_it_costs():
    episode = rewrite("no", "never")
    assert (episode.notes_after, episode.outcome.reward, episode.outcome.passed) == ("old", MALFORMED, False)
    assert len(episode.steps) == 2


def test_when_no_answer_comes_the_old_notes_stay():
    episode = rewrite()
    assert (episode.notes_after, episode.end) == ("old", "model")


def test_control_characters_do_not_reach_the_notes():
    assert rewrite("<notes>a\x1b[31mb\x07\u202ec</notes>").notes_after == "ab\\x07\\u202ec"


@pytest.mark.parametrize("half", ["\ud83d", "\ude00", "\udcff"], ids=["first", "second", "byte"])  # noqa: PT014 - ruff takes them for the same
def test_half_a_character_in_the_notes_the_attempt_or_the_task_is_replaced(half):
    assert rewrite(f"<notes>a{half}</notes>").notes_after == "a\ufffd"
    assert rewrite(f"<notes>{half * 200}</notes>", f"{half}<notes>b</notes>").notes_after == "b"
    assert bound_notes(f"a{half}\n", 50) == "a\ufffd"
    steps = (step(half, half), *SOLVED.steps)
    hostile = Episode("solve", 0, Task("t", half), half, (), steps, "steps", outcome=Outcome(0.0, False, half))
    assert Rewrite(hostile, half, Profile()).reset(hostile.task, half)


def test_notes_of_a_person_are_bounded_by_whole_lines():
    text = bound_notes("\n".join(["a line of notes"] * 100), 50)
    assert len(text.encode()) <= 50 * 3 + 60
    assert bound_notes("short\n", 50) == "short"


def test_a_hostile_attempt_cannot_make_the_request_long():
    steps = tuple(step("x" * 5000, "y\n" * 9000) for _ in range(50))
    long = Rewrite(Episode("solve", 0, TASK, "", (), steps, "steps"), "z\n" * 99999, Profile(output_bytes=4000))
    assert len(long.reset(TASK, "old")[1].content) < 3 * 4000


def test_a_model_without_memory_is_shown_only_what_came_of_its_steps():
    small = Rewrite(SOLVED, "-x\n+y", Profile(prompt="small", memory=0))
    system, asked = small.reset(TASK, "")
    assert "The attempt" not in asked.content
    assert "+y" in asked.content
    assert system.content.startswith("You keep short notes")


FAILING = """\
E       AssertionError: assert "'2024-03-05'" == "'05.03.2024'"
E         - '05.03.2024'
E       assert 3 == 4
"""


def test_a_small_model_is_shown_what_was_expected_and_not_its_old_notes():
    failed = replace(SOLVED, outcome=Outcome(0.0, False, f"$ pytest -q\n{FAILING}FAILED tests/test_a.py::test_a"))
    asked = Rewrite(failed, "-x\n+y", Profile(prompt="small", memory=0)).reset(TASK, "- an old fact")[1].content
    assert "- an old fact" not in asked
    assert "expected \"'05.03.2024'\", got \"'2024-03-05'\"\nexpected 4, got 3" in asked


def test_what_a_small_model_notes_is_added_before_its_old_notes():
    small = Rewrite(SOLVED, "", Profile(prompt="small", memory=0, notes_tokens=20))
    small.reset(TASK, "- one\n- two\n- " + "x" * 60)
    small.step(Message("assistant", "<notes>- three\n- one</notes>"))
    assert small.notes == "- three\n- one\n- two"


@pytest.mark.parametrize("feedback", ["", "make: *** [test] Error 2", "E   ValueError: no"])
def test_feedback_without_a_comparison_is_shown_as_it_is(feedback):
    assert compare_values(feedback) == ""
    failed = replace(SOLVED, outcome=Outcome(0.0, False, feedback))
    assert feedback in Rewrite(failed, "", Profile(prompt="small", memory=0)).reset(TASK, "")[1].content
