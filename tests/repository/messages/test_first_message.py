"""How the first message for a small model ends: with what is wanted, and nothing else."""

import pytest

from codagent.prompts import prompt
from codagent.repository.messages.first_message import MessageFacts, small_model_message
from codagent.types import Profile, Task

SMALL = Profile(calling="text", tools=("define", "write", "finish"), fill_tokens=2000)


def closing(instruction, *, checks=()):
    facts = MessageFacts(Task("t", instruction, checks), ["a.py"], files={"a.py": b"def f(): ...\n"})
    return small_model_message(facts, SMALL)[-1].text


@pytest.mark.parametrize("question", ["Where is f?", "what does f do ?\n", "First line.\nWhich file has it?"])
def test_a_question_is_asked_for_an_answer_only(question):
    assert closing(question) == prompt("question")


@pytest.mark.parametrize("task", ["Mend f.", "Why not mend f? It is wrong.", "f(1) gives 2"])
def test_a_task_is_told_the_form_of_its_answer(task):
    assert closing(task).startswith(prompt("first_unchecked"))
    assert "```python" in closing(task)


def test_with_checks_also_a_question_wants_a_change():
    assert closing("Can you mend f?", checks=("true",)).startswith(prompt("first"))
