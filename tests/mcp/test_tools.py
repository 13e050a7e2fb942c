"""Tools of MCP servers, which the official package's own server offers in a process of its own."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.mcp import tools as mcp_tools
from codagent.mcp.deferred import FIND, find_tools
from codagent.mcp.tools import McpTools, name_tool
from codagent.settings.settings import McpServer
from codagent.types import Episode, Message, Observation, Profile, Reply, Sampling, Step, Task, Tool, ToolCall

SERVER = str(Path(__file__).with_name("server.py"))
STDIO = McpServer("demo", sys.executable, (SERVER,))


@pytest.fixture
def connect(tmp_path):
    """Connects to servers, and closes the connections at the end."""
    opened = []

    def run(*servers, **options):
        opened.append(McpTools(servers, tmp_path, said.append, **options))
        return opened[-1]

    said = run.said = []
    yield run
    for connected in opened:
        connected.close()


def ask(connected, name, check=lambda: None, **arguments):
    answer = connected.find(ToolCall("1", name, json.dumps(arguments)), Profile(), check)
    return answer and answer()


@pytest.fixture(scope="module")
def url():
    """A server that answers over HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, SERVER, str(port)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


def test_tools_are_listed_with_their_schemas_and_called(connect):
    connected = connect(STDIO)
    by_name = {tool.name: tool for tool in connected.tools}
    assert list(by_name) == [f"mcp__demo__{name}" for name in ("add", "wait", "note", "variables", "fail", "die")]
    assert by_name["mcp__demo__add"].description == "Add two numbers."
    assert by_name["mcp__demo__add"].parameters["required"] == ["a", "b"]
    assert ask(connected, "mcp__demo__add", a=2, b=3) == "ok\n5"
    assert ask(connected, "mcp__demo__fail") == "error: Error executing tool fail: it is broken"
    assert ask(connected, "mcp__demo__add", a="x").startswith("error: ")
    assert connected.find(ToolCall("1", "mcp__demo__none", "{}"), Profile(), lambda: None) is None
    assert connected.find(ToolCall("1", "bash", "{}"), Profile(), lambda: None) is None


def test_a_server_over_http_is_asked_with_its_headers(connect, url, monkeypatch):
    monkeypatch.setenv("TEST_TOKEN", "a-long-secret")
    connected = connect(McpServer("far", url=url, headers={"Authorization": "Bearer ${TEST_TOKEN}"}))
    assert ask(connected, "mcp__far__add", a=2, b=3) == "ok\n5"


def test_a_server_gets_only_the_variables_that_are_named_and_works_in_the_repository(connect, monkeypatch, tmp_path):
    monkeypatch.setenv("CODAGENT_API_KEY", "secret")
    monkeypatch.setenv("TEST_NAME", "value")
    connected = connect(McpServer("demo", sys.executable, (SERVER,), {"TEST_A": "${TEST_NAME}", "TEST_B": "${TEST_NOT:-other}"}))
    assert ask(connected, "mcp__demo__variables") == "ok\nTEST_A=value\nTEST_B=other"
    assert ask(connected, "mcp__demo__note", line="seen") == "ok\n\\x1b]0;owned\\x07noted"
    assert (tmp_path / "noted.txt").read_text() == "seen\n"


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (McpServer("lost", "codagent-no-such-command"), "No such file"),
        (McpServer("lost", sys.executable, ("-c", "pass")), ""),
        (McpServer("lost", "${TEST_NOT_SET}"), "the environment variable TEST_NOT_SET is not set"),
        (McpServer("lost", url="http://127.0.0.1:9/mcp"), ""),
    ],
)
def test_a_server_that_does_not_start_is_told_and_the_others_work(connect, server, reason):
    connected = connect(server, STDIO)
    assert ask(connected, "mcp__demo__add", a=1, b=1) == "ok\n2"
    (said,) = connect.said
    assert said.startswith("the MCP server lost is not used: ")
    assert reason in said
    assert "TaskGroup" not in said


def test_a_server_that_dies_gives_an_error_and_no_more(connect):
    connected = connect(STDIO)
    assert ask(connected, "mcp__demo__die").startswith("error: the MCP server demo: ")
    assert ask(connected, "mcp__demo__add", a=1, b=1).startswith("error: the MCP server demo: ")


def test_a_call_that_takes_too_long_is_an_error_and_one_that_is_stopped_raises(connect):
    connected = connect(McpServer("demo", sys.executable, (SERVER,), seconds=0.5))
    assert ask(connected, "mcp__demo__wait", seconds=5).startswith("error: the MCP server demo: ")

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(connected, "mcp__demo__wait", stop, seconds=5)


def test_only_the_chosen_tools_are_offered(connect):
    assert [tool.name for tool in connect(McpServer("a", sys.executable, (SERVER,), tools=("add", "wait"), without=("wait",))).tools] == [
        "mcp__a__add"
    ]


def test_a_call_is_made_only_as_a_person_allows_it(connect, tmp_path):
    asked, answers = [], ["no", "once", "always"]

    def answer(line, check):
        check()
        asked.append(line)
        return answers.pop(0)

    connected = connect(replace(STDIO, approval="ask"), ask=answer)
    refused = "error: the person did not allow this call of mcp__demo__note; do not try it again, go on without it"
    assert ask(connected, "mcp__demo__note", line="first\x1b[2J") == refused
    assert not (tmp_path / "noted.txt").exists()
    for line in ("second", "third", "fourth"):
        assert ask(connected, "mcp__demo__note", line=line).startswith("ok")
    assert (tmp_path / "noted.txt").read_text() == "second\nthird\nfourth\n"
    assert asked == [f'mcp__demo__note {{"line": "{line}"}}' for line in ("first\\u001b[2J", "second", "third")]
    answers.append("no")
    assert ask(connected, "mcp__demo__add", a=1, b="x" * 5_000).startswith("error: the person did not allow")
    assert asked[-1].endswith("x… and 3,017 characters more")


def test_who_is_asked_may_end_the_wait(connect):
    def stop(line, check):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(connect(replace(STDIO, approval="ask"), ask=stop), "mcp__demo__add", a=1, b=1)


def test_a_server_whose_calls_are_to_be_approved_is_not_started_where_nobody_is_asked(connect, tmp_path):
    started = McpServer("shy", "bash", ("-c", "touch started"), approval="ask")
    assert connect(started, replace(started, name="off", approval="never")).tools == ()
    assert connect.said == ["the MCP server shy is not used: its calls are to be approved, and nobody is asked here"]
    assert not (tmp_path / "started").exists()


def test_a_server_that_is_never_to_be_used_is_not_started_where_somebody_is_asked(connect, tmp_path):
    never = McpServer("off", "bash", ("-c", "touch started"), approval="never")
    assert connect(never, ask=lambda *_: "always").tools == ()
    assert (connect.said, (tmp_path / "started").exists()) == ([], False)


def test_deferred_tools_are_found_by_words_and_shown_from_then_on(connect):
    connected = connect(replace(STDIO, name="open", tools=("add",)), replace(STDIO, defer=True))
    names = ["mcp__open__add", FIND]
    assert [tool.name for tool in connected.tools] == names
    assert connected.tools[1].description.endswith(": demo (6)")
    found = "ok\nmcp__demo__note: Append a line to a file beside this one's working directory."
    assert ask(connected, FIND, query="append to a note") == found
    assert [tool.name for tool in connected.tools] == [*names, "mcp__demo__note"]
    assert ask(connected, "mcp__demo__add", a=1, b=1) == "ok\n2"  # known by its name
    assert ask(connected, FIND, query="zebra").startswith("error: no tool fits these words. There are mcp__demo__add, mcp__demo__wait, ")
    assert connected.find(ToolCall("1", FIND, "[]"), Profile(), lambda: None)() == f"error: the arguments of {FIND} are not a JSON object"


def test_tools_that_were_found_are_shown_again_when_the_steps_are_recalled_or_repeated(connect):
    call = ToolCall("1", FIND, '{"query": "add"}')
    reply = Reply(Message("assistant", tool_calls=(call,)), "tool_calls", 1, 1, None, None, Sampling(), "p", "")
    step = Step(reply, Observation((Message("tool", "ok\nmcp__demo__add: Add two numbers.\nmcp__gone__x: y", tool_call_id="1"),)), 0.0)
    recalled, repeated = connect(replace(STDIO, defer=True)), connect(replace(STDIO, defer=True), earlier=[step])
    recalled.recall([Episode("solve", 0, Task("t", "x"), "", (), (step,))])
    assert repeated.find(call, Profile(), lambda: None)() == step.observation.messages[0].content
    assert [[tool.name for tool in each.tools] for each in (recalled, repeated)] == [[FIND, "mcp__demo__add"]] * 2


def test_without_deferred_tools_there_is_nothing_to_find(connect):
    assert connect(STDIO).find(ToolCall("1", FIND, "{}"), Profile(), lambda: None) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("create an issue", ["create_issue", "readIssue"]),
        ("issue read", ["readIssue", "create_issue"]),
        ("wiki", ["list"]),
        ("list", ["list"]),
        ("", []),
    ],
)
def test_a_word_in_the_name_weighs_more_than_one_in_the_description(query, found):
    tools = [Tool("list", "All pages of the wiki", {}), Tool("readIssue", "", {}), Tool("create_issue", "", {})]
    assert [tool.name for tool in find_tools(query, tools)] == found


def test_large_schemas_and_too_many_tools_are_left_out_and_told(connect, monkeypatch):
    monkeypatch.setattr(mcp_tools, "MAX_SCHEMA_BYTES", 120)
    monkeypatch.setattr(mcp_tools, "MAX_TOOLS", 2)
    assert len(connect(STDIO).tools) == 2
    assert any("its schema has" in said for said in connect.said)
    assert any("there are 2 already" in said for said in connect.said)


def test_calls_that_are_repeated_get_their_recorded_answers(connect):
    call = ToolCall("1", "mcp__demo__note", '{"line": "once"}')
    reply = Reply(Message("assistant", tool_calls=(call,)), "tool_calls", 1, 1, None, None, Sampling(), "p", "")
    connected = connect(earlier=[Step(reply, Observation((Message("tool", "ok\nnoted", tool_call_id="1"),)), 0.0)])
    assert ask(connected, "mcp__demo__note", line="once") == "ok\nnoted"
    assert ask(connected, "mcp__demo__note", line="once") is None


@pytest.mark.parametrize("bad", ["{", "[]", '"a"'])
def test_wrong_arguments_never_reach_a_server(connect, bad):
    assert connect(STDIO).find(ToolCall("1", "mcp__demo__add", bad), Profile(), lambda: None)().startswith("error: the arguments of ")


def test_names_fit_every_provider():
    assert name_tool("my server", "do.it/now") == "mcp__my_server__do_it_now"
    long = [name_tool("s", "t" * 80 + end) for end in ("a", "b")]
    assert [len(name) for name in long] == [64, 64]
    assert long[0] != long[1]


def test_without_the_package_it_is_said_how_to_install_it(connect, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(UsageError, match=r"pip install 'codagent\[mcp\]'"):
        connect(STDIO)
