"""What a model only thought about is not carried out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from codagent.models.servers.openai_api import OpenAIModel
from codagent.models.tool_calls.formats import decode
from codagent.models.tool_calls.thoughts import remove_thoughts
from codagent.types import Calling, Message, Sampling, Tool
from tests.models.loopback import Answer, serve

TEXT = {"type": "string"}
BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": TEXT}, "required": ["command"]})
WRITE = Tool("write", "Write.", {"type": "object", "properties": {"path": TEXT, "content": TEXT}, "required": ["path", "content"]})


def tagged(command: str) -> str:
    return f"<tool_call>{json.dumps({'name': 'bash', 'arguments': {'command': command}})}</tool_call>"


def fenced(command: str) -> str:
    return f"```bash\n{command}\n```\n"


@pytest.mark.parametrize(("calling", "write"), [("native", tagged), ("text", tagged), ("text", fenced), ("constrained", tagged)])
@pytest.mark.parametrize(
    "form",
    [
        "<think>I could:\n{thought}\nNo.</think>\n{meant}",
        "I could:\n{thought}\nNo.</think>\n{meant}",
        "<think>a</think>\n<think>\n{thought}\n</think>\n{meant}",
        "<think>a <think> b</think>\n{thought}\n</think>\n{meant}",
        "<Thinking>\n{thought}\n</Thinking>\n{meant}",
        "[THINK]\n{thought}\n[/THINK]\n{meant}",
        "{meant}\n<think>And then\n{thought}",
        "I look.\n<think>\n{thought}\n</think>\n{meant}",
    ],
)
def test_only_the_call_that_was_meant_is_found(calling: Calling, write: Callable[[str], str], form: str) -> None:
    text, calls = decode(calling, form.format(thought=write("rm calc.py"), meant=write("ls")), (BASH,))
    assert [(call.name, json.loads(call.arguments)["command"].strip()) for call in calls] == [("bash", "ls")]
    assert "rm calc.py" not in text


@pytest.mark.parametrize("thought", [tagged("rm calc.py"), fenced("rm calc.py"), '{"name": "bash", "arguments": {"command": "rm"}}'])
def test_thoughts_that_do_not_end_hold_no_call(thought: str) -> None:
    assert decode("text", f"<think>\n{thought}", (BASH,)) == ("", ())


@pytest.mark.parametrize(
    "text",
    [
        "```write a.py\nTAG = '<think>'\nrun()\n```\n",
        "```write a.py\nTAG = '</think>'\nrun()\n```\n",
        f"<tool_call>{json.dumps({'name': 'write', 'arguments': {'path': 'a', 'content': '</think>'}})}</tool_call>",
        json.dumps({"thought": "<think>", "tool": "bash", "arguments": {"command": "echo '</think>'"}}),
    ],
)
def test_a_tag_within_a_call_is_a_part_of_it(text: str) -> None:
    assert remove_thoughts(text) == text
    assert len(decode("text", text, (BASH, WRITE))[1]) == 1


def test_a_tag_that_is_spoken_of_stays() -> None:
    assert remove_thoughts("The tag `</think>` ends it.") == "The tag `</think>` ends it."


def test_thoughts_stay_in_the_raw_text_of_a_reply() -> None:
    thinking = f"<think>{tagged('rm calc.py')}"
    with serve(Answer(thinking + "</think>Now.", calls=[("bash", '{"command": "ls"}')])) as server:
        reply = OpenAIModel(server.url, "m").reply((Message("user", "x"),), (BASH,), Sampling())
    assert [call.arguments for call in reply.message.tool_calls] == ['{"command": "ls"}']
    assert (reply.raw, reply.message.content) == (thinking + "</think>Now.", "Now.")
    with serve(Answer(thinking)) as server:
        reply = OpenAIModel(server.url, "m").reply((Message("user", "x"),), (BASH,), Sampling())
    assert (reply.raw, reply.message.tool_calls) == (thinking, ())
