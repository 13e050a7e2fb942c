"""What a person sees of a session in a real terminal: the screen of tmux."""

import json

import pytest

from tests.cli.conftest import allow_local
from tests.cli.session.tmux import Tmux
from tests.session.place import call, make_repository

MEND = call("edit", path="answer.txt", old="wrong", new="right", text="I mend it.")


@pytest.fixture
def open_screen(tmp_path):
    """Opens a session with a script of replies, and waits for its footer."""
    root = make_repository(tmp_path / "repository")
    allow_local(root, tmp_path)
    opened = []

    def run(replies, columns=80):
        (tmp_path / "script.json").write_text(json.dumps(replies))
        opened.append(terminal := Tmux(root, tmp_path, columns, 24))
        terminal.type("codagent session --sandbox local --model scripted:../script.json")
        terminal.see(footers)
        return terminal

    yield run
    for terminal in opened:
        terminal.close()


def footers(lines):
    return [line for line in lines if line.strip().startswith("scripted:")]


def test_the_footer_stays_one_line_below_the_input_through_answers_edits_and_sizes(open_screen):
    terminal = open_screen(["It says **wrong**.", MEND, "Done."])
    lines = terminal.see(footers)
    assert lines.index(footers(lines)[0]) > max(at for at, line in enumerate(lines) if line.startswith(">"))
    terminal.type("what does it say?")
    terminal.wait_for("It says wrong.")
    terminal.type("mend it")
    lines = terminal.wait_for("1 file changed")
    assert [line.strip() for line in lines if line.strip().startswith(("-wrong", "+right"))] == ["-wrong", "+right"]
    assert sum("It says wrong." in line for line in lines) == 1
    for columns in (50, 100):
        terminal.resize(columns, 24)
        terminal.type("/help")
        terminal.type(f"!echo at {columns}")
        lines = terminal.see(lambda lines, end=f"at {columns}": end in map(str.strip, lines) and len(footers(lines)) == 1)
        assert any("show the latest output" in line for line in lines), "a word is broken"
    terminal.type("/quit")
    terminal.wait_for("is kept")
    terminal.see(lambda lines: "$" in lines)
    assert terminal("display-message", "-p", "#{cursor_flag}#{alternate_on}").strip() == "10"


def test_a_turn_is_stopped_and_ctrl_c_twice_leaves(open_screen):
    terminal = open_screen([call("bash", command="sleep 100"), "Never."])
    terminal.type("wait")
    terminal.wait_for("sleep 100")
    terminal("send-keys", "C-c")
    terminal.wait_for("stopped")
    terminal("send-keys", "C-c", "C-c")
    terminal.see(lambda lines: "$" in lines)


def test_wide_characters_are_all_there_and_none_is_cut_in_two(open_screen):
    text = "世界漢字" * 30
    terminal = open_screen([text], columns=41)
    terminal.type("wide")
    lines = terminal.see(lambda lines: sum(line.count("世") for line in lines) == 30)
    assert [letter for line in lines for letter in line if letter in text] == list(text)


def test_a_paste_of_2000_lines_takes_one_line_of_the_screen(open_screen):
    terminal = open_screen(["I have read it."])
    terminal.paste("\n".join(f"line {number}" for number in range(2000)))
    lines = terminal.wait_for("2,000 lines")
    assert not any("line 1999" in line for line in lines)
    terminal.type("")
    terminal.wait_for("I have read it.")
    assert len(footers(terminal.see(footers))) == 1  # the answer is printed before the footer is drawn again below it
