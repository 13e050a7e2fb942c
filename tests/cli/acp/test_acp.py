"""`codagent acp` in a process of its own, asked by the official SDK's own client. The whole exchange is recorded."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import acp
import pytest
from acp import schema

from tests.cli.conftest import CODAGENT
from tests.fork_server import ForkServer
from tests.models.loopback import listening
from tests.session.place import call, make_repository

MEND = call("edit", path="answer.txt", old="wrong", new="right", text="I mend it.")

PAST = ("user_message_chunk", "agent_message_chunk", "tool_call")


@pytest.fixture
def root(tmp_path):
    return make_repository(tmp_path / "repository")


class Editor:
    """A client that answers each question whether changes are to be accepted, and keeps all that it is told."""

    def __init__(self, answer):
        self.answer, self.updates, self.questions, self.messages = answer, [], [], []

    def on_connect(self, conn):
        pass

    async def session_update(self, session_id, update, **_):
        self.updates.append(update)

    async def request_permission(self, session_id, tool_call, options, **_):
        self.questions.append(tool_call)
        outcome = (
            schema.AllowedOutcome(outcome="selected", option_id=self.answer) if self.answer else schema.DeniedOutcome(outcome="cancelled")
        )
        return acp.RequestPermissionResponse(outcome=outcome)

    def note(self, event):
        self.messages.append((event.direction.value, event.message))

    def of(self, kind):
        return [update for update in self.updates if update.session_update == kind]

    @property
    def said(self):
        return "".join(update.content.text for update in self.of("agent_message_chunk"))

    @property
    def methods(self):
        """The names of all requests and notifications in the order in which they went, without those of one kind in a row."""
        names = [message["params"]["update"]["sessionUpdate"] if "update" in (message.get("params") or {}) else message["method"]
                 for _, message in self.messages if "method" in message]  # fmt: skip
        return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


@pytest.fixture(scope="module")
def server():
    modules = ("codagent.cli.app", "codagent.cli.acp.agent", "codagent.cli.acp.held_session", "codagent.repository.gate.gates")
    return ForkServer(CODAGENT, modules)


@pytest.fixture
def environment(tmp_path):
    return {key: value for key, value in os.environ.items() if not key.startswith(("CODAGENT_", "XDG_"))} | {"HOME": str(tmp_path)}


@pytest.fixture
def connect(server, environment, tmp_path):
    """Starts `codagent acp` with a script of replies, or with another model, and connects a client to it."""

    @asynccontextmanager
    async def run(replies, answer="apply", *, model="", arguments=()):
        file = tmp_path / "script.json"
        if replies is not None:
            file.write_text(json.dumps(replies))
        (asking, asked), (answering, answered) = socket.socketpair(), socket.socketpair()
        with asked, answering:
            words = ("acp", "--sandbox", "local", "--model", model or f"scripted:{file}", *arguments)
            process = server.start(*words, cwd=tmp_path, env=environment, streams=(asked.fileno(), answering.fileno(), 2))
        _, writer = await asyncio.open_connection(sock=asking)
        reader, _ = await asyncio.open_connection(sock=answered)
        editor = Editor(answer)
        connection = acp.connect_to_agent(editor, writer, reader, observers=[editor.note], use_unstable_protocol=True)
        try:
            await connection.initialize(protocol_version=acp.PROTOCOL_VERSION)
            yield editor, connection
        finally:
            await connection.close()
            writer.close()
        assert await asyncio.to_thread(process.wait, 60) == 0

    return run


def ask(connection, session_id, text):
    return asyncio.wait_for(connection.prompt(session_id=session_id, prompt=[acp.text_block(text)]), 60)


def test_a_turn_is_streamed_and_its_changes_are_accepted_once(connect, root):
    async def talk():
        async with connect([MEND, call("bash", command="cat answer.txt"), "Done: **right** now."], arguments=("--check", "true")) as (
            editor,
            connection,
        ):
            session = await connection.new_session(cwd=str(root), mcp_servers=[])
            answer = await ask(connection, session.session_id, "mend it")
        return editor, session, answer

    editor, session, answer = asyncio.run(talk())
    assert answer.stop_reason == "end_turn"
    assert (root / "answer.txt").read_text() == "right\n"
    assert editor.methods == [
        "initialize",
        "session/new",
        "agent_thought_chunk",  # that the local sandbox does not isolate
        "available_commands_update",
        "session/prompt",
        "agent_thought_chunk",  # which instructions were read
        "agent_message_chunk",
        "tool_call",
        "tool_call_update",
        "usage_update",
        "tool_call",
        "tool_call_update",
        "usage_update",
        "agent_message_chunk",
        "usage_update",
        "plan",
        "agent_message_chunk",
        "session/request_permission",
        "agent_message_chunk",
    ]
    edit, look = editor.of("tool_call")
    assert (edit.title, edit.kind, edit.locations[0].path) == ("edit answer.txt", "edit", str(root / "answer.txt"))
    assert (look.kind, look.raw_input) == ("execute", {"command": "cat answer.txt"})
    edited, looked = editor.of("tool_call_update")
    (diff,) = edited.content
    assert (edited.tool_call_id, edited.status) == (edit.tool_call_id, "completed")
    assert (diff.type, diff.path, diff.old_text, diff.new_text) == ("diff", str(root / "answer.txt"), "wrong\n", "right\n")
    assert looked.content[0].content.text == "exit 0\nright"
    (question,) = editor.questions
    assert [(part.path, part.old_text, part.new_text) for part in question.content] == [(str(root / "answer.txt"), "wrong\n", "right\n")]
    (plan,) = editor.of("plan")
    assert [(entry.content, entry.status) for entry in plan.entries] == [("true", "completed")]
    assert editor.said.startswith("I mend it.Done: **right** now.")
    assert [option.id for option in session.config_options] == ["model", "effort"]


@pytest.mark.parametrize("answer", ["not-yet", None])
def test_what_is_not_accepted_stays_in_the_sandbox(connect, root, answer):
    async def talk():
        async with connect([MEND, "Done.", call("bash", command="cat answer.txt"), "It is."], answer) as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "mend it")
            assert (root / "answer.txt").read_text() == "wrong\n"
            await ask(connection, session, "what is there?")
            told = editor.of("tool_call_update")[-1].content[0].content.text
            assert len(editor.questions) == 1  # nothing was changed since
            await ask(connection, session, "/discard other.txt")
            await ask(connection, session, "/apply")
            applied = (root / "answer.txt").read_text()
            await ask(connection, session, "/undo")
            await ask(connection, session, "/nonsense")
        return editor, told, applied

    editor, told, applied = asyncio.run(talk())
    assert (told, applied, (root / "answer.txt").read_text()) == ("exit 0\nright", "right\n", "wrong\n")
    assert "Taken back: answer.txt" in editor.said
    assert "There is no command /nonsense" in editor.said
    assert "/discard takes nothing after it, so nothing was done" in editor.said


def test_parts_of_the_work_are_applied(connect, root):
    wrote = [call("write", path=f"{name}/new.txt", content="new\n") for name in ("one", "two")]

    async def talk():
        async with connect([MEND, *wrote, "Done."], "not-yet") as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "write")
            await ask(connection, session, "/apply three")
            await ask(connection, session, "/apply one answer.txt:1")
            there = [(root / name).exists() for name in ("one/new.txt", "two/new.txt")]
            await ask(connection, session, "/apply")
        return editor, there

    editor, there = asyncio.run(talk())
    assert (there, (root / "answer.txt").read_text(), (root / "two/new.txt").exists()) == ([True, False], "right\n", True)
    assert "three is not in the change; it has answer.txt, one/new.txt, two/new.txt" in editor.said
    assert editor.said.count("The rest is not accepted so far.") == 1


def test_a_turn_is_cancelled_in_a_command_and_the_session_goes_on(connect, root):
    async def talk():
        async with connect([call("bash", command="echo begun > new.txt; sleep 60"), "I go on."], "not-yet") as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            turn = asyncio.create_task(ask(connection, session, "wait"))
            while not editor.of("tool_call"):
                await asyncio.sleep(0.05)
            await connection.cancel(session_id=session)
            stopped = await turn
            went_on = await ask(connection, session, "go on")
        return editor, stopped.stop_reason, went_on.stop_reason

    editor, stopped, went_on = asyncio.run(talk())
    assert (stopped, went_on) == ("cancelled", "end_turn")
    assert editor.of("tool_call_update")[0].status == "failed"
    assert "I go on." in editor.said


def test_a_turn_is_cancelled_while_a_server_answers(connect, root):
    asked, done = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def log_message(self, *_): ...

        def do_POST(self):
            asked.set()
            done.wait(60)

    async def talk(url):
        async with connect(None, model=f"{url}#m") as (_, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            turn = asyncio.create_task(ask(connection, session, "hello"))
            await asyncio.to_thread(asked.wait, 60)
            await connection.cancel(session_id=session)
            return (await turn).stop_reason

    with listening(Silent) as url:
        stopped = asyncio.run(talk(url))
        done.set()
    assert stopped == "cancelled"


def test_a_session_is_loaded_in_another_process_with_its_work(connect, root):
    async def first():
        async with connect([MEND, "Done."], "not-yet") as (_, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "mend it")
            return session

    async def second(session):
        async with connect([call("bash", command="cat answer.txt"), "It is right."]) as (editor, connection):
            listed = await connection.list_sessions(cwd=str(root))
            await connection.load_session(cwd=str(root), session_id=session, mcp_servers=[])
            past = [
                (update.session_update, getattr(update, "title", None) or update.content.text)
                for update in editor.updates
                if update.session_update in PAST
            ]
            await ask(connection, session, "and now?")
            return editor, [(info.session_id, info.title) for info in listed.sessions], past

    session = asyncio.run(first())
    editor, listed, past = asyncio.run(second(session))
    assert listed == [(session, "mend it")]
    assert past == [
        ("user_message_chunk", "mend it"),
        ("agent_message_chunk", "I mend it."),
        ("tool_call", "edit answer.txt"),
        ("agent_message_chunk", "Done."),
    ]
    assert editor.of("tool_call_update")[-1].content[0].content.text == "exit 0\nright"
    assert (root / "answer.txt").read_text() == "right\n"


def test_a_session_is_resumed_without_its_past_and_closed(connect, root):
    async def talk():
        async with connect(["One."]) as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "one?")
            await connection.close_session(session_id=session)
            with pytest.raises(acp.RequestError, match="there is no session"):
                await ask(connection, session, "two?")
            await connection.resume_session(session_id=session, cwd=str(root), mcp_servers=[])
            await ask(connection, session, "two?")
        return editor

    editor = asyncio.run(talk())
    assert (editor.said, editor.of("user_message_chunk")) == ("One.One.", [])


def test_another_model_and_effort_are_chosen(connect, root, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(["I am the other."]))

    async def talk():
        async with connect(["I am the first."]) as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "who are you?")
            changed = await connection.set_config_option(config_id="model", session_id=session, value=f"scripted:{other}")
            await connection.set_config_option(config_id="effort", session_id=session, value="high")
            with pytest.raises(acp.RequestError, match="no such file"):
                await connection.set_config_option(config_id="model", session_id=session, value="scripted:nowhere.json")
            with pytest.raises(acp.RequestError, match="effort"):
                await connection.set_config_option(config_id="effort", session_id=session, value="enormous")
            await ask(connection, session, "and you?")
        return editor, {option.id: option.current_value for option in changed.config_options}

    editor, values = asyncio.run(talk())
    assert editor.said == "I am the first.I am the other."
    assert values == {"model": f"scripted:{other}", "effort": ""}


def test_a_file_of_the_repository_is_told_with_the_prompt(connect, root):
    async def talk():
        async with connect(["Seen."]) as (_, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            link = acp.resource_link_block("answer.txt", (root / "answer.txt").as_uri())
            embedded = acp.resource_block(acp.embedded_text_resource("file:///elsewhere/x.py", "x = 1"))
            await connection.prompt(session_id=session, prompt=[acp.text_block("look at"), link, embedded])
        return session

    record = (root / ".codagent/loops" / asyncio.run(talk()) / "record.jsonl").read_text()
    assert "look at @answer.txt" in record
    assert "x = 1" in record
    assert "answer.txt:\\n```\\nwrong" in record


def test_the_servers_that_an_editor_names_are_used(connect, root):
    server = str(Path(__file__).parents[2] / "mcp/server.py")

    async def talk():
        async with connect([call("mcp__demo__variables"), "Seen."]) as (editor, connection):
            given = schema.McpServerStdio(
                name="demo", command=sys.executable, args=[server], env=[schema.EnvVariable(name="TEST_A", value="b")]
            )
            session = (await connection.new_session(cwd=str(root), mcp_servers=[given])).session_id
            await ask(connection, session, "look")
        return editor

    assert asyncio.run(talk()).of("tool_call_update")[0].content[0].content.text == "ok\nTEST_A=b"


@pytest.mark.parametrize(
    ("answer", "asked", "told"), [("once", 2, "ok\n5"), ("always", 1, "ok\n5"), ("no", 2, "error: "), (None, 2, "error: ")]
)
def test_an_editor_is_asked_about_calls_that_are_to_be_approved(connect, root, tmp_path, answer, asked, told):
    config = tmp_path / ".config/codagent/config.toml"
    config.parent.mkdir(parents=True)
    server = Path(__file__).parents[2] / "mcp/server.py"
    config.write_text(f'[mcp.demo]\ncommand = "{sys.executable}"\nargs = ["{server}"]\napproval = "ask"\n')
    add = call("mcp__demo__add", a=2, b=3)

    async def talk():
        async with connect([add, add, "Done."], answer) as (editor, connection):
            session = (await connection.new_session(cwd=str(root), mcp_servers=[])).session_id
            await ask(connection, session, "add")
        return editor

    editor = asyncio.run(talk())
    assert [update.content[0].content.text[: len(told)] for update in editor.of("tool_call_update")] == [told] * 2
    assert [question.title for question in editor.questions] == ['mcp__demo__add {"a": 2, "b": 3}'] * asked
    assert editor.questions[0].tool_call_id == editor.of("tool_call")[0].tool_call_id


@pytest.mark.parametrize("cwd", ["/", "/nowhere"])
def test_a_folder_without_a_repository_is_refused(connect, cwd):
    async def talk():
        async with connect(["One."]) as (_, connection):
            with pytest.raises(acp.RequestError, match="git"):
                await connection.new_session(cwd=cwd, mcp_servers=[])

    asyncio.run(talk())


def test_an_editor_starts_it_and_talks_over_pipes(environment):
    async def talk():
        async with acp.spawn_agent_process(Editor(None), str(CODAGENT), "acp", env=environment) as (connection, process):
            answer = await connection.initialize(protocol_version=acp.PROTOCOL_VERSION)
        return answer.protocol_version, process.returncode

    assert asyncio.run(talk()) == (acp.PROTOCOL_VERSION, 0)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", ["a file", "a device", "a terminal", "closed"])
def test_without_an_editor_it_is_refused(environment, tmp_path, number, kind):
    streams = {0: subprocess.PIPE, 1: subprocess.PIPE}
    ours, theirs = os.openpty()
    with (tmp_path / "file").open("w+") as file:
        streams[number] = {"a file": file, "a device": subprocess.DEVNULL, "a terminal": theirs, "closed": streams[number]}[kind]
        command = [CODAGENT, "acp"] if kind != "closed" else ["bash", "-c", f'exec "$0" acp {number}<&-', CODAGENT]
        ended = subprocess.run(
            command, stdin=streams[0], stdout=streams[1], stderr=subprocess.PIPE, text=True, env=environment, timeout=250, check=False
        )
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 2
    assert ended.stderr == "codagent: an editor starts this command and talks to it over pipes; `codagent` holds a session on a terminal\n"


def test_without_the_package_it_is_said_how_to_install_it():
    code = "import sys; sys.modules['acp'] = None; sys.argv = ['codagent', 'acp']; import codagent.cli; codagent.cli.main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, input="", check=False)
    assert (ended.returncode, "pip install 'codagent[acp]'" in ended.stderr) == (2, True)
