"""A session in a real terminal."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codagent.store import layout
from codagent.store.record import load
from tests.cli.session.terminal import Terminal
from tests.models.loopback import Answer, serve
from tests.session.place import call, make_repository

LOCAL = ("--sandbox", "local")
MEND = call("edit", path="answer.txt", old="wrong", new="right", text="I mend it.")


@pytest.fixture
def root(tmp_path):
    return make_repository(tmp_path / "repository")


@pytest.fixture
def open_session(root, tmp_path):
    """Opens a session with a script of replies, on a terminal."""

    def run(replies, *arguments, **settings):
        file = tmp_path / "script.json"
        if replies is not None:
            file.write_text(json.dumps(replies))
        model = () if replies is None else ("--model", f"scripted:{file}")
        return Terminal(root, tmp_path, "session", *LOCAL, *model, *arguments, **settings)

    return run


READY = "scripted:"  # the beginning of the status line, whose end may be cut


def wait_for_call(terminal, root, text):
    """Wait until the model has made a call with this text; it is on record before the call is carried out."""
    records = root / ".codagent/loops"
    while not any(
        text in line for file in records.glob(f"*/{layout.RECORD}") for line in file.read_text().splitlines() if line.startswith('{"reply')
    ):
        terminal.read(0.1)


def latest(root):
    loops = layout.loops_dir(layout.home_dir(root))
    return load(loops / layout.find_loop(loops, None) / layout.RECORD)


def test_a_question_a_task_a_follow_up_and_the_work_is_accepted(open_session, root):
    replies = ["It says **wrong**.", MEND, "Done: `right` now.", call("bash", command="cat answer.txt"), "It was wrong before."]
    with open_session(replies) as terminal:
        terminal.wait_for("/help lists the commands")
        terminal.send("what does it say?")
        terminal.wait_for("It says wrong.")
        terminal.send("mend it")
        terminal.wait_for("+right")
        terminal.wait_for("1 file changed")
        assert (root / "answer.txt").read_text() == "wrong\n"
        terminal.send("and before?")
        terminal.wait_for("It was wrong before.")
        terminal.send("/apply")
        terminal.wait_for("these changes are in your files now")
        terminal.send("/undo")
        terminal.wait_for("taken back: answer.txt")
        terminal.send("!ls")
        terminal.wait_for("AGENTS.md")
        terminal.send("/quit")
        terminal.wait_for("is kept")
        assert terminal.read_to_the_end() == 0
    assert (root / "answer.txt").read_text() == "wrong\n"


def test_a_turn_is_stopped_and_the_session_goes_on(open_session, root):
    with open_session([call("bash", command="echo begun; sleep 60"), "I go on."]) as terminal:
        terminal.send("wait")
        wait_for_call(terminal, root, "echo begun")
        terminal.type("\x03")
        terminal.wait_for("stopped; what was done is kept")
        terminal.send("")
        terminal.wait_for("I go on.")
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0


def test_no_sandbox_is_claimed_where_commands_run_on_this_machine(open_session):
    with open_session([]) as terminal:
        terminal.wait_for("The agent works on a copy.")
        terminal.wait_for("does not isolate")
        terminal.wait_for(READY)  # below what was said
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0


def test_a_persons_command_is_stopped_and_that_is_said(open_session):
    with open_session(["Never asked."]) as terminal:
        terminal.send("!echo begun; sleep 60")
        terminal.wait_for("! echo begun; sleep 60")
        terminal.type("\x03")
        terminal.wait_for("stopped")
        terminal.send("!echo after")
        terminal.wait_for("after")
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0


def test_what_is_typed_meanwhile_steers_the_next_step(open_session, root):
    with open_session([call("bash", command="sleep 3"), "As you like."]) as terminal:
        terminal.send("work")
        wait_for_call(terminal, root, "sleep 3")
        terminal.send("use tabs")
        terminal.wait_for("it is told after this step")
        terminal.wait_for("As you like.")
    (turn,) = latest(root).attempts
    assert turn.steps[0].observation.messages[-1].content == "use tabs"


def test_a_killed_session_goes_on_with_its_work(open_session, root):
    with open_session([MEND, call("bash", command="echo more >> answer.txt; sleep 60")]) as terminal:
        terminal.send("mend it")
        wait_for_call(terminal, root, "sleep 60")
        terminal.kill(signal.SIGKILL)
    with open_session([call("bash", command="cat answer.txt"), "So it is."], "--continue") as terminal:
        terminal.wait_for("goes on after 1 turn")
        terminal.send("what is there?")
        terminal.wait_for("right")
        terminal.wait_for("So it is.")


def test_a_session_goes_on_and_is_forked(open_session):
    with open_session(["One."]) as terminal:
        terminal.send("one?")
        terminal.wait_for("One.")
        terminal.type("\x04")
        terminal.wait_for("is kept")
    with open_session(["Two."], "--continue") as terminal:
        terminal.wait_for("> one?")
        terminal.wait_for("goes on after 1 turn")
        terminal.send("/fork 1")
        terminal.wait_for("begins after turn 1")
        terminal.send("two?")
        terminal.wait_for("Two.")


def test_a_long_paste_is_folded_and_told_as_a_whole(open_session, root):
    with open_session(["Long."]) as terminal:
        terminal.wait_for(READY)
        text = "\n".join(str(number) for number in range(2000))
        terminal.type(f"\x1b[200~{text}\x1b[201~")
        terminal.wait_for("[paste 1: 2,000 lines]")
        terminal.send("")
        terminal.wait_for("Long.")
        assert "1042" not in terminal.text
    assert "\n1998\n1999" in latest(root).attempts[0].prompt[1].content


def test_a_line_has_several_lines_and_a_file_is_completed(open_session, root):
    with open_session(["Hello.", "Seen."]) as terminal:
        terminal.send("hello")
        terminal.wait_for("Hello.")
        terminal.type("look at @ans")
        terminal.wait_for("answer.txt")  # in the menu
        terminal.type("\t")
        terminal.wait_for("wer.txt")
        terminal.type("\x1b\rnow")
        terminal.send("")
        terminal.wait_for("Seen.")
    assert "look at @answer.txt\nnow\n\nanswer.txt:\n```\nwrong\n```" in latest(root).attempts[1].prompt[-1].content


def test_ctrl_z_is_no_character(open_session):
    with open_session([]) as terminal:
        terminal.wait_for(READY)
        terminal.send("!echo one\x1atwo | tr o 0")
        terminal.wait_for("0netw0")
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0


def test_wide_characters_and_a_narrow_terminal_leave_no_line_too_long(open_session):
    wide = "世界漢字" * 30
    with open_session([wide, wide], columns=40) as terminal:
        terminal.send("wide")
        terminal.wait_for("世界")
        terminal.resize(30)
        terminal.send("again")
        terminal.wait_for("世界")
        terminal.send("/quit")
        terminal.wait_for("kept;")  # the sentence is broken between words
        assert terminal.read_to_the_end() == 0


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_and_in_a_dumb_terminal_nothing_is_coloured(open_session, environment):
    with open_session([MEND, "**Done.**"], **environment) as terminal:
        terminal.send("mend it")
        terminal.wait_for("+right")
        terminal.wait_for("Done.")
        terminal.send("/quit")
        terminal.wait_for("is kept")
        assert terminal.read_to_the_end() == 0
        assert not [code for code in (b"\x1b[31m", b"\x1b[32m", b"\x1b[36m", b"[38;5;") if code in terminal.raw]
        assert environment.get("TERM") != "dumb" or b"\x1b[" not in terminal.raw


def test_hostile_output_leaves_terminal_and_clipboard_alone(open_session):
    hostile = "\x1b]52;c;aGk=\x07\x1b]0;owned\x07\x1b[?1049h\u202ehi"
    with open_session([call("bash", command=f"printf '%b' {hostile!r}", text=hostile), f"{hostile} [x](http://a\x1b]8;;)"]) as terminal:
        terminal.send("go")
        terminal.wait_for("http://a")
        terminal.send("/quit")
        terminal.wait_for("is kept")
        terminal.read_to_the_end()
        assert not [code for code in (b"\x1b]52", b"\x1b]0", b"\x1b]8", b"\x1b[?1049h", "\u202e".encode()) if code in terminal.raw]


def test_hostile_names_and_endless_lines_leave_the_terminal_alone(open_session, root):
    subprocess.run(["git", "checkout", "-q", "-b", "b\u202ex"], cwd=root, check=True)
    endless = "head -c 10000000 /dev/zero | tr '\\0' x; printf '\\033]52;c;aGk=\\007'"
    replies = [call("bash", command=endless, text=f"# title\x1b]0;owned\x07 {'y' * 200_000}"), "**Done** \u2066[x](http://a\x1b]8;;)"]
    with open_session(replies, columns=220) as terminal:
        terminal.wait_for(READY)  # else the terminal itself echoes what is typed
        terminal.send("go \u202e on")
        terminal.wait_for("Done")
        terminal.wait_for("branch b")
        terminal.send("/quit")
        terminal.wait_for("is kept")
        assert terminal.read_to_the_end() == 0
        hostile = [b"\x1b]52", b"\x1b]0", b"\x1b]8", "\u202e".encode(), "\u2066".encode()]
        assert [code for code in hostile if code in terminal.raw] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_record_is_whole(open_session, root, number):
    with open_session(["One.", call("bash", command="sleep 60")]) as terminal:
        terminal.send("one?")
        terminal.wait_for("One.")
        terminal.send("sleep")
        wait_for_call(terminal, root, "sleep 60")
        os.kill(terminal.pid, number)
        assert terminal.read_to_the_end() == 128 + number
    assert len(latest(root).attempts) == 2


def test_a_session_without_a_turn_leaves_no_record(open_session, root):
    with open_session(["One."]) as terminal:
        terminal.wait_for("/help lists")
        terminal.send("/help")
        terminal.wait_for("/discard")
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0
    assert list((root / ".codagent/loops").iterdir()) == []


def test_a_terminal_that_is_closed_ends_it_and_the_record_is_whole(open_session, root):
    with open_session(["One.", call("bash", command="sleep 60")]) as terminal:
        terminal.send("one?")
        terminal.wait_for("One.")
        terminal.send("sleep")
        wait_for_call(terminal, root, "sleep 60")
        terminal.close()
        assert terminal.read_to_the_end() in (1, 128 + signal.SIGHUP)
    assert [turn.end for turn in latest(root).attempts] == ["finished", "interrupted"]


def test_a_server_that_dies_and_comes_back(root, tmp_path):
    with serve(Answer("I am here.")) as server:
        url = server.url
    with Terminal(root, tmp_path, "session", *LOCAL, "--model", f"{url}#m", "--wait", "1") as terminal:
        terminal.send("hello")
        terminal.wait_for("Enter tries again")
        with serve(Answer("I am here."), port=int(url.rpartition(":")[2].partition("/")[0])):
            terminal.send("")
            terminal.wait_for("I am here.")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_call_that_is_to_be_approved_is_asked_about_and_the_question_can_be_stopped(open_session, tmp_path, term):
    config = tmp_path / ".config/codagent/config.toml"
    config.parent.mkdir(parents=True)
    server = Path(__file__).parents[2] / "mcp/server.py"
    config.write_text(f'[mcp.demo]\ncommand = "{sys.executable}"\nargs = ["{server}"]\napproval = "ask"\n')
    add = call("mcp__demo__add", a=2, b=3)
    with open_session([add, add, "Done."], TERM=term) as terminal:
        terminal.wait_for(READY if term != "dumb" else "> ")
        terminal.send("add")
        terminal.wait_for('the model wants to call mcp__demo__add {"a": 2, "b": 3}')
        terminal.wait_for("[y/a/N]")
        terminal.send("y")
        terminal.wait_for("→ ok")
        terminal.wait_for("[y/a/N]")
        terminal.type("\x03")
        terminal.wait_for("stopped; what was done is kept")
        terminal.send("go on")
        terminal.wait_for("Done.")
        terminal.send("/quit")
        assert terminal.read_to_the_end() == 0


def test_a_full_disk_names_the_command_that_goes_on(open_session):
    with open_session(["long " * 50_000]) as terminal:
        terminal.wait_for(READY)
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))  # as on a disk that is full
        terminal.send("hello")
        terminal.wait_for("make room, then `codagent session --resume ")
        assert terminal.read_to_the_end() == 7


def test_the_latest_output_is_shown_in_full(open_session):
    with open_session([call("bash", command="seq 101 130"), "Thirty."]) as terminal:
        terminal.send("count")
        terminal.wait_for("Thirty.")
        terminal.type("\x0f")  # Ctrl-O
        terminal.wait_for("exit 0\n101\n102\n")


def test_a_text_is_written_in_the_editor_and_over_several_lines(open_session, root, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "from the editor" > "$1"\n')
    editor.chmod(0o755)
    with open_session(["One.", "Two."], EDITOR=str(editor), VISUAL="") as terminal:
        terminal.wait_for(READY)
        terminal.type("\x07")  # Ctrl-G
        terminal.wait_for("from the editor")
        terminal.send("")
        terminal.wait_for("One.")
        terminal.send("first\\")
        terminal.send("second")
        terminal.wait_for("Two.")
    assert [turn.task.instruction for turn in latest(root).attempts] == ["from the editor", "first\nsecond"]


def test_what_was_typed_before_comes_back_in_the_same_repository(open_session, root):
    for reply in ("One.", "Two."):
        with open_session([reply]) as terminal:
            terminal.wait_for(READY)
            terminal.send("the first words" if reply == "One." else "\x1b[A\x1b[A")  # the up arrow, over /quit
            terminal.wait_for(reply)
            terminal.send("/quit")
            assert terminal.read_to_the_end() == 0
    assert latest(root).attempts[0].task.instruction == "the first words"


@pytest.mark.parametrize("keys", ["\x03\x03", "\x04"])
def test_leaving_stops_the_turn(open_session, root, keys):
    with open_session([call("bash", command="sleep 60"), "Never said."]) as terminal:
        terminal.send("sleep")
        wait_for_call(terminal, root, "sleep 60")
        terminal.send("/help")
        terminal.type(keys)
        terminal.wait_for("is kept")
        assert terminal.read_to_the_end() == 0
    assert [turn.end for turn in latest(root).attempts] == ["interrupted"]


def test_ctrl_d_counts_before_the_input_line_is_there(open_session):
    with open_session(["Never asked."]) as terminal:
        terminal.type("\x04")
        assert terminal.read_to_the_end() == 0


def test_ctrl_c_first_takes_away_what_was_typed(open_session, root):
    with open_session([call("bash", command="sleep 60"), "Never said."]) as terminal:
        terminal.send("sleep")
        wait_for_call(terminal, root, "sleep 60")
        terminal.type("some words\x03\x03")
        terminal.wait_for("stopped; what was done is kept")
        terminal.send("/quit")
        terminal.wait_for("is kept")
        assert terminal.read_to_the_end() == 0
