"""How the first message for a small model ends: with what is wanted, and nothing else."""

from dataclasses import replace

import pytest

from codagent.models.tool_calls.formats import find_shown_files
from codagent.prompts import prompt
from codagent.repository.messages.first_message import MessageFacts, answer_form, small_model_message
from codagent.repository.messages.repo_map import ShownFile
from codagent.types import Message, Profile, Task

SMALL = Profile(calling="text", tools=("define", "write", "finish"), fill_tokens=2000)


def closing(instruction, *, checks=()):
    facts = MessageFacts(Task("t", instruction, checks), ["a.py"], files=[ShownFile("a.py", "def f(): ...\n")])
    return small_model_message(facts, SMALL)[-1].text


@pytest.mark.parametrize(
    "question", ["Where is f?", "f does what ?\n", "First line.\nIs that all?", "explain f", "Could you tell me what f does"]
)
def test_a_question_is_asked_for_an_answer_only(question):
    assert closing(question) == prompt("question")


@pytest.mark.parametrize(
    "task", ["Mend f.", "can you mend f?", "Please, would you make f right?", "f(1) gives 2", "whatever f does, stop it"]
)
def test_a_task_is_told_the_form_of_its_answer(task):
    assert closing(task).startswith(prompt("first_unchecked"))
    assert "```python" in closing(task)


def test_with_checks_also_a_question_wants_a_change():
    assert closing("Can you mend f?", checks=("true",)).startswith(prompt("first"))


def test_a_file_shown_in_parts_is_called_so_and_its_path_ends_the_line():
    facts = MessageFacts(Task("t", "Mend f.", ()), ["a.py"], files=[ShownFile("a.py", "def f(): ...\n", whole=False)])
    shown = small_model_message(facts, SMALL)[4].text
    assert shown.startswith("Parts of a.py:\n```\ndef f(): ...\n```")
    assert find_shown_files([Message("user", shown)]) == ("a.py",)


def test_where_a_file_is_shown_in_parts_nobody_is_asked_for_the_whole():
    part, script = ShownFile("a.py", "def f(): ...\n", whole=False), ShownFile("b.js", "let b\n")
    assert "```python" in answer_form([part, script], SMALL)
    assert "```write b.js" in answer_form([script], SMALL)
    lines = replace(SMALL, tools=("replace", "finish"))
    assert "in one ```replace a.py block" in answer_form([part, script], lines)
    assert "in one ```replace PATH block" in answer_form([], lines)
