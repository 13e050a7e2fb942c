"""How calls are written into a request and read out of a reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.repository.tools import DEFINE, TOOLS
from codagent.types import Calling, Message, Tool, ToolCall

NAMES = {tool.name: tool for tool in TOOLS}


def calls(text: str, calling: Calling = "text", files: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in decode(calling, text, TOOLS, files=files)[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```bash\nls -la\ncat x\n```", ("bash", {"command": "ls -la\ncat x"})),
        ("```sh\nls\n```", ("bash", {"command": "ls"})),
        ("```bash seconds=300\nmake\n```", ("bash", {"command": "make", "seconds": 300})),
        ("```bash ls -la\n```", ("bash", {"command": "ls -la"})),
        ("```read src/a.py\n```", ("read", {"path": "src/a.py"})),
        ("```read src/a.py from_line=5 lines=20\n```", ("read", {"path": "src/a.py", "from_line": 5, "lines": 20})),
        ("```read\nsrc/a.py\n```", ("read", {"path": "src/a.py"})),
        ('```read "my file.py"\n```', ("read", {"path": "my file.py"})),
        ("```search def foo path=src\n```", ("search", {"pattern": "def foo", "path": "src"})),
        ("```search a=b\n```", ("search", {"pattern": "a=b"})),
        ("```write a.py\nx = '\\n'\n```", ("write", {"path": "a.py", "content": "x = '\\n'\n"})),
        ("```write a.py\r\nx = 1\n```", ("write", {"path": "a.py", "content": "x = 1\n"})),
        ("````write a.py\nx = '''\n```\n'''\n````", ("write", {"path": "a.py", "content": "x = '''\n```\n'''\n"})),
        ("~~~write a.py\nx\n~~~", ("write", {"path": "a.py", "content": "x\n"})),
        ("```finish\ndone\n```", ("finish", {"summary": "done"})),
        ("```edit a.py\n<<<<<<<\nold\n=======\nnew\n>>>>>>>\n```", ("edit", {"path": "a.py", "old": "old", "new": "new"})),
        ("```edit a.py\n<<<<<<< SEARCH\na\nb\n=======\n>>>>>>> REPLACE\n```", ("edit", {"path": "a.py", "old": "a\nb", "new": ""})),
        ("```edit a.py\njust code\n```", ("edit", {"path": "a.py"})),
        ("```write a.py\nnever closed", ("write", {"path": "a.py", "content": "never closed\n"})),
    ],
)
def test_a_block_is_a_call(text: str, expected: tuple[str, Any]) -> None:
    assert calls(f"I think.\n\n{text}") == [expected]


def test_blocks_are_called_in_their_order_and_other_languages_are_not_calls() -> None:
    text = "```write a.py\n1\n```\nfor example\n```python\nprint(1)\n```\n```bash\npytest\n```\n```finish\nok\n```"
    assert [name for name, _ in calls(text)] == ["write", "bash", "finish"]


def test_a_call_within_a_block_that_holds_nothing_else_is_a_call() -> None:
    text = "Like this:\n```python\n```write a.py\nx = 1\n```\n```"
    assert [(call.name, json.loads(call.arguments)) for call in decode("text", text, TOOLS)[1]] == [
        ("write", {"path": "a.py", "content": "x = 1\n"})
    ]


def test_each_pair_of_an_edit_is_an_edit() -> None:
    pair = "<<<<<<<\n{0}\n=======\n{0}{0}\n>>>>>>>\n"
    assert calls(f"```edit a\n{pair.format('x')}{pair.format('y')}```") == [
        ("edit", {"path": "a", "old": "x", "new": "xx"}),
        ("edit", {"path": "a", "old": "y", "new": "yy"}),
    ]


def test_a_fence_with_a_language_inside_a_written_file_belongs_to_it() -> None:
    content = "'''\n```python\nx\n```\n'''\n"
    assert calls(f"```write a.py\n{content}```\n") == [("write", {"path": "a.py", "content": content})]


def test_a_written_markdown_file_reaches_to_the_last_fence_before_the_next_call() -> None:
    text = "```write README.md\n# x\n```bash\nmake\n```\nor\n```\nplain\n```\nend\n```\n\n```finish\ndone\n```"
    assert calls(text) == [
        ("write", {"path": "README.md", "content": "# x\n```bash\nmake\n```\nor\n```\nplain\n```\nend\n"}),
        ("finish", {"summary": "done"}),
    ]


@pytest.mark.parametrize("calling", ["native", "constrained", "text"])
@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>',
        '<tool_call>{"name": "bash", "arguments": {"command": "ls"}}',
        'Sure:\n```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```',
        '{"tool": "bash", "arguments": {"command": "ls"}}',
        '{"name": "bash", "parameters": {"command": "ls"}}',
        '{"tool": "bash", "command": "ls"}',
        '[{"type": "function", "function": {"name": "bash", "arguments": "{\\"command\\": \\"ls\\"}"}}]',
    ],
)
def test_a_call_written_as_json_is_understood_in_every_mode(calling: Calling, text: str) -> None:
    assert calls(text, calling) == [("bash", {"command": "ls"})]


def test_json_that_names_no_tool_is_text() -> None:
    text = '```json\n{"name": "codagent", "version": 1}\n```'
    assert decode("native", text, TOOLS) == (text, ())


@pytest.mark.parametrize("calling", ["native", "constrained", "text"])
@pytest.mark.parametrize(
    "text", ["[" * 50_000, '{"name":' * 50_000, "9" * 5000, "[" * 900 + "]" * 900], ids=["list", "object", "digits", "deep"]
)
def test_json_that_cannot_be_parsed_is_text(calling: Calling, text: str) -> None:
    assert decode(calling, text, TOOLS) == (text, ())
    assert decode(calling, f"<tool_call>{text}</tool_call>", TOOLS)[1] == ()


@pytest.mark.parametrize("seconds", ["9" * 5000, "²"], ids=["digits", "superscript"])
def test_a_number_in_a_block_that_is_none_is_left_to_the_tool(seconds: str) -> None:
    assert calls(f"```bash seconds={seconds}\nmake\n```") == [("bash", {"command": "make", "seconds": seconds})]


def test_native_text_is_what_stands_around_the_call() -> None:
    text, found = decode("native", 'I look.\n<tool_call>{"name": "bash", "arguments": {"command": "ls"}}</tool_call>', TOOLS, turn=4)
    assert (text, found) == ("I look.", (ToolCall("call_4_0", "bash", '{"command": "ls"}'),))


def test_a_shell_block_in_a_native_reply_is_only_an_example() -> None:
    assert calls("Try\n```bash\nrm -rf x\n```", "native") == []


def test_a_constrained_call_that_was_cut_keeps_its_raw_arguments() -> None:
    _, found = decode("constrained", '{"thought": "so", "tool": "write", "arguments": {"path": "a.py", "content": "x', TOOLS)
    assert found == (ToolCall("call_0_0", "write", '{"path": "a.py", "content": "x'),)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("src/a.py:\n```python\nx = 1\n```", "src/a.py"),
        ("**`src/a.py`**\n\n```python\nx = 1\n```", "src/a.py"),
        ("Here is the corrected `src/a.py`:\n```python\nx = 1\n```", "src/a.py"),
        ("```python src/a.py\nx = 1\n```", "src/a.py"),
        ("```python:src/a.py\nx = 1\n```", "src/a.py"),
        ("```src/a.py\nx = 1\n```", "src/a.py"),
        ("```python\n# src/a.py\nx = 1\n```", "src/a.py"),
        ("```js\n// web/a.js\nx = 1\n```", "web/a.js"),
    ],
)
def test_a_whole_file_shown_under_its_path_is_a_write(text: str, path: str) -> None:
    assert calls(text) == [("write", {"path": path, "content": "x = 1\n"})]


def test_a_path_is_completed_from_the_files_that_were_shown() -> None:
    text = "The new a.py is below\n```python\nx = 1\n```"
    assert calls(text, files=("src/a.py", "src/b.py")) == [("write", {"path": "src/a.py", "content": "x = 1\n"})]


def test_a_block_without_path_is_the_only_file_of_its_language() -> None:
    text = "Corrected:\n```python\nx = 1\ny = 2\n```"
    assert calls(text, files=("a.py", "b.toml")) == [("write", {"path": "a.py", "content": "x = 1\ny = 2\n"})]
    assert calls(text, files=("a.py", "b.py")) == []


def test_python_that_could_be_of_several_files_is_defined_and_never_written():
    """Where its functions belong is found by their names, with the last file, the likeliest, for what has none."""
    text = "So:\n```python\ndef f():\n    return 1\n```"
    offered = (*TOOLS, DEFINE)
    found = decode("text", text, offered, files=("a.py", "b.py", "c.toml"))[1]
    assert [(call.name, json.loads(call.arguments)["path"]) for call in found] == [("define", "b.py")]
    assert decode("text", text, offered, files=("c.toml",))[1] == ()
    assert decode("text", text.replace("python", "toml"), offered, files=("a.toml", "b.toml"))[1] == ()


def test_a_sentence_about_a_file_is_not_a_label() -> None:
    assert calls("In a.py and b.py the loop is wrong, see\n```python\nx = 1\n```") == []
    assert calls("The bug in a.py looks like this.\n```python\nx = 1\n```") == []


def test_the_files_that_a_prompt_shows_are_found() -> None:
    prompt = Message("user", "Fix it.\n\nsrc/a.py:\n```\nx\n```\n\ntests/test_a.py:\n````\n```\n````\n\nchecks print:\n```\nE assert\n```")
    assert find_shown_files((prompt,)) == ("src/a.py", "tests/test_a.py")


ARGUMENTS = [
    ("bash", {"command": "ls\necho"}),
    ("read", {"path": "a.py", "lines": 3}),
    ("search", {"pattern": "a b", "path": "src"}),
    ("write", {"path": "a.md", "content": "```\nx\n```\n"}),
    ("edit", {"path": "a.py", "old": "a\nb", "new": ""}),
    ("finish", {"summary": "done"}),
]


@pytest.mark.parametrize(("name", "arguments"), ARGUMENTS, ids=[name for name, _ in ARGUMENTS])
def test_a_call_of_another_mode_is_written_as_a_block_that_reads_back_the_same(name: str, arguments: dict[str, Any]) -> None:
    message = Message("assistant", "I think.", (ToolCall("1", name, json.dumps(arguments)),))
    wire, functions, schema = encode("text", (message,), TOOLS)
    assert (functions, schema) == (None, None)
    assert wire[1]["content"].startswith("I think.\n\n")
    assert calls(wire[1]["content"]) == [(name, arguments)]


def test_a_sampled_reply_is_sent_back_word_for_word() -> None:
    raw = "So:\n```bash\nls\n```\nand wait"
    text, found = decode("text", raw, TOOLS)
    wire, _, _ = encode("text", (Message("assistant", text, found), Message("tool", "exit 0", tool_call_id=found[0].id)), TOOLS)
    assert [message["content"] for message in wire[1:]] == [raw, "Answer of bash:\nexit 0"]


def test_a_file_shown_without_its_path_is_not_written_twice() -> None:
    shown = Message("user", "a.py:\n```\nx = 0\n```")
    raw = "Mended:\n```python\nx = 1\ny = 2\n```"
    text, found = decode("text", raw, TOOLS, files=("a.py",))
    wire, _, _ = encode("text", (shown, Message("assistant", text, found)), TOOLS)
    assert (len(found), wire[-1]["content"]) == (1, raw)


def test_roles_alternate_and_the_tools_are_described_in_the_system_message() -> None:
    messages = (Message("system", "Be good."), Message("user", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d"))
    wire, _, _ = encode("text", messages, TOOLS)
    assert [message["role"] for message in wire] == ["system", "user", "assistant", "user"]
    assert wire[1]["content"] == "a\n\nb"
    assert wire[0]["content"].startswith("Be good.\n\nCall a tool")
    assert "```edit <path>\n<<<<<<<\n<old>\n=======\n<new>\n>>>>>>>\n```" in wire[0]["content"]


def test_without_tools_nothing_is_described() -> None:
    assert encode("text", (Message("user", "a"),), ()) == ([{"role": "user", "content": "a"}], None, None)


def test_a_schema_holds_the_tool_and_its_arguments_together() -> None:
    _, _, schema = encode("constrained", (Message("user", "a"),), (NAMES["bash"], NAMES["finish"]))
    assert schema is not None
    assert [choice["properties"]["tool"] for choice in schema["anyOf"]] == [{"const": "bash"}, {"const": "finish"}]
    assert schema["anyOf"][1]["properties"]["arguments"] == NAMES["finish"].parameters


def test_torn_arguments_of_an_old_call_are_made_whole_for_the_server() -> None:
    wire, _, _ = encode("native", (Message("assistant", "", (ToolCall("1", "bash", '{"command": "l'),)),), TOOLS)
    assert json.loads(wire[0]["tool_calls"][0]["function"]["arguments"]) == {"malformed": '{"command": "l'}


def test_a_block_that_was_cut_off_is_never_a_whole_call() -> None:
    """Half a file must not be written; an open fence at the natural end of a reply is only a small model's carelessness."""
    text = "```write a.py\nx = 1\ndef f("
    (careless,) = decode("text", text, TOOLS)[1]
    (cut,) = decode("text", text, TOOLS, cut=True)[1]
    assert json.loads(careless.arguments)["content"] == "x = 1\ndef f(\n"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(cut.arguments)


def test_a_shown_python_file_is_a_definition_where_that_is_offered() -> None:
    define = Tool("define", "", {"type": "object", "properties": {"path": {}, "content": {}}, "required": ["path", "content"]})
    text = "a.py:\n```python\nx = 1\n```"
    assert decode("text", text, TOOLS)[1][0].name == "write"
    assert decode("text", text, (*TOOLS, define))[1][0].name == "define"
    assert decode("text", text.replace("a.py", "a.md"), (*TOOLS, define))[1][0].name == "write"
