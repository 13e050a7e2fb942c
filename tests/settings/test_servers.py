"""MCP servers as settings."""

import json

import pytest

from codagent.errors import UsageError
from codagent.settings.layers import merge_layers, read_layer
from codagent.settings.servers import describe_brought_servers, describe_server, read_repository_servers
from codagent.settings.settings import McpServer


def test_servers_of_the_users_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        '[mcp.here]\ncommand = "server"\nargs = ["-x", ""]\nenv = {A = "b"}\ncwd = "tools"\ntimeout = 5\nenabled_tools = ["a"]\n'
        'approval = "ask"\ndefer = true\n'
        '[mcp.far]\nurl = "https://example.org/mcp"\nheaders = {X = "y"}\ndisabled_tools = ["b"]\n'
    )
    settings = merge_layers(read_layer(file))
    assert settings.servers == (
        McpServer("here", "server", ("-x", ""), {"A": "b"}, "tools", tools=("a",), seconds=5.0, approval="ask", defer=True),
        McpServer("far", url="https://example.org/mcp", headers={"X": "y"}, without=("b",)),
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('command = "a"\nurl = "b"', "must have either 'command' or 'url'"),
        ('args = ["a"]', "must have either 'command' or 'url'"),
        ('comand = "a"', "unknown key 'comand'; did you mean 'command'?"),
        ('command = "a"\ntimeout = 0', "timeout must be seconds"),
        ('command = "a"\napproval = "no"', "approval must be"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, table, problem):
    file = tmp_path / "config.toml"
    file.write_text(f"[mcp.x]\n{table}\n")
    with pytest.raises(UsageError, match=r"\[mcp.x\]") as raised:
        read_layer(file)
    assert problem in str(raised.value)


def test_a_repository_names_no_servers_in_its_settings(tmp_path):
    file = tmp_path / "codagent.toml"
    file.write_text('[mcp.x]\ncommand = "a"\n')
    with pytest.raises(UsageError, match=r"\.mcp\.json"):
        read_layer(file, repository=True)


def test_servers_of_a_repository(tmp_path):
    assert read_repository_servers(tmp_path) == ()
    servers = {"a": {"type": "stdio", "command": "x", "args": ["y"]}, "b": {"type": "http", "url": "https://b"}}
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    assert read_repository_servers(tmp_path) == (McpServer("a", "x", ("y",), own=False), McpServer("b", url="https://b", own=False))


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}', '{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": {}}}', "[" * 100_000])
def test_a_file_of_a_repository_that_is_not_usable(tmp_path, text):
    (tmp_path / ".mcp.json").write_text(text)
    with pytest.raises(UsageError, match=r"\.mcp\.json"):
        read_repository_servers(tmp_path)


def test_a_link_out_of_the_repository_is_not_followed(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.mcp.json").symlink_to(tmp_path / "other.json")
    with pytest.raises(UsageError, match="leads out of the repository"):
        read_repository_servers(tmp_path / "root")


def test_servers_of_a_repository_are_known_by_all_that_they_state_their_files_and_their_place(tmp_path):
    (tmp_path / "server.py").write_text("1\n")
    server = McpServer("a", "python", ("server.py",), own=False)
    known = describe_brought_servers(tmp_path, [server]).digest
    assert describe_brought_servers(tmp_path, [server]).digest == known
    others = [McpServer("a", "python", ("server.py", "-x"), own=False), McpServer("a", "python", ("server.py",), {"A": "b"}, own=False)]
    assert known not in [describe_brought_servers(tmp_path, [other]).digest for other in others]
    assert describe_brought_servers(tmp_path.parent, [server]).digest != known
    (tmp_path / "server.py").write_text("2\n")
    assert describe_brought_servers(tmp_path, [server]).digest != known


def test_a_server_is_described_in_a_line():
    assert describe_server(McpServer("a", "x", ("y",), {"K": "${K}"}, "in")) == "a: x y in in with K=${K}"
    assert describe_server(McpServer("b", url="https://b")) == "b: https://b"
