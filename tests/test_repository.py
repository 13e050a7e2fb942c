"""The environment of a repository, on the local sandbox."""

import json
import subprocess
from dataclasses import replace

import pytest

from codagent import git
from codagent.ledger import Ledger
from codagent.repository import Repository, Workplace
from codagent.sandbox.local import LocalSandbox
from codagent.types import Limits, Message, Profile, Task, ToolCall

CHECK = "grep -q right answer.txt"
SMALL = Profile(tools=("write", "finish"), fill_tokens=500, checks_after_write=True)


@pytest.fixture
def environment(tmp_path):
    """Makes one with a profile; everything is closed at the end."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    (root / "answer.py").write_text("def answer(): ...\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    made = []

    def make(profile=None):
        taken = git.snapshot(root)
        place = Workplace(taken, git.pack(root, taken.commit), LocalSandbox, "loop-1", Ledger(None, Limits(), None))
        made.append(Repository(place, profile or Profile()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def calls(*wanted):
    return Message("assistant", "", tuple(ToolCall(f"c{n}", name, json.dumps(arguments)) for n, (name, arguments) in enumerate(wanted)))


def test_the_prompt_is_rules_then_task_checks_and_files(environment):
    system, first = environment().reset(Task("t", "put it right", (CHECK,)), "")
    assert system.content.startswith("You are codagent")
    assert first.content == f"Task: put it right\n\nThese checks decide: `{CHECK}`\n\nFiles:\nanswer.py\nanswer.txt"


def test_a_small_model_sees_the_files_what_the_checks_print_and_the_form_of_its_answer(environment):
    _, first = environment(SMALL).reset(Task("t", "answer is wrong", ("echo looked; false",)), "")
    parts = ["answer.py:\n```\ndef answer(): ...\n```", "looked", "Task: answer is wrong", "```write answer.py block"]
    assert [first.content.index(part) for part in parts] == sorted(first.content.index(part) for part in parts)


def test_a_model_that_may_define_is_asked_for_a_function(environment):
    _, first = environment(replace(SMALL, tools=("define", "write"))).reset(Task("t", "answer is wrong", ("false",)), "")
    assert first.content.endswith("Then write the corrected function, all of it, in one ```python block.")


def test_every_call_is_answered_in_order_and_finish_ends(environment):
    place = environment()
    place.reset(Task("t", "x"), "")
    observation = place.step(calls(("bash", {"command": "echo hi"}), ("dance", {}), ("finish", {"summary": "did it"})))
    assert [(m.tool_call_id, m.content.partition("\n")[0].partition(";")[0]) for m in observation.messages] == [
        ("c0", "exit 0"),
        ("c1", "error: there is no tool 'dance'"),
        ("c2", "ok"),
    ]
    assert observation.end == "finished"


def test_no_call_is_answered_with_what_is_wanted(environment):
    place = environment()
    place.reset(Task("t", "x"), "")
    observation = place.step(Message("assistant", "I think it is fine"))
    assert (observation.messages[0].role, observation.end) == ("user", None)
    assert "no tool was called" in observation.messages[0].content


def test_a_write_is_answered_with_the_checks_and_ends_when_they_pass(environment):
    place = environment(SMALL)
    place.reset(Task("t", "answer is wrong", (CHECK,)), "")
    still = place.step(calls(("write", {"path": "answer.txt", "content": "worse"})))
    assert still.end is None
    assert "exit 1" in still.messages[0].content
    assert "do not pass yet" in still.messages[0].content
    assert place.step(Message("assistant", "I see.")).messages[0].content.startswith("Then write the corrected file")
    assert place.step(calls(("write", {"path": "answer.txt", "content": "right"}))).end == "finished"


def test_the_gates_judge_a_clean_checkout_of_the_commit(environment):
    place = environment()
    place.reset(Task("t", "x", (CHECK, "test ! -e ignored.pyc", "test $(git log --oneline | wc -l) -ge 2")), "")
    place.step(
        calls(("bash", {"command": "echo right > answer.txt; echo '*.pyc' > .gitignore; touch ignored.pyc"}), ("finish", {"summary": "s"}))
    )
    outcome = place.grade()
    assert (outcome.passed, outcome.reward) == (True, 1.0)


def test_a_share_of_the_checks_is_a_share_of_the_reward(environment):
    place = environment()
    place.reset(Task("t", "x", ("true", "false")), "")
    outcome = place.grade()
    assert (outcome.passed, outcome.reward) == (False, 0.45)
    assert "$ false\nexit 1" in outcome.feedback


def test_without_checks_nobody_judges_but_the_work_is_kept(environment, tmp_path):
    place = environment()
    place.reset(Task("t", "x"), "")
    place.step(calls(("write", {"path": "new", "content": "x"})))
    assert place.grade() is None
    assert place.keep(None) != git.snapshot(tmp_path / "repository").commit
