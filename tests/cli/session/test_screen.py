"""What a person sees of a session: the screen of a terminal emulator, of the size and kind that tmux gives."""

import json

import pyte
import pytest
from pyte.modes import DECTCEM

from tests.cli.session.terminal import Terminal
from tests.session.place import call, make_repository

BRACKETED_PASTE = 2004 << 5  # pyte numbers private modes so
MEND = call("edit", path="answer.txt", old="wrong", new="right", text="I mend it.")


class EmulatedTerminal(Terminal):
    """A terminal whose screen is computed from what the command prints."""

    def __init__(self, *arguments, columns, lines, **environment):
        self.screen = pyte.HistoryScreen(columns, lines, history=5000)
        self.screen.write_process_input = self.type
        self._stream = pyte.ByteStream(self.screen)
        super().__init__(*arguments, columns=columns, lines=lines, TERM="tmux-256color", TMUX="/tmp/tmux,1,0", **environment)

    def react(self, data):
        self._stream.feed(data)

    def resize(self, columns, lines=30):
        self.screen.resize(lines, columns)
        super().resize(columns, lines)

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def see(self, condition):
        """Read until the lines of the screen meet a condition, and return them."""
        for _ in range(600):
            if condition(self.lines):
                return self.lines
            assert self.read(0.1), "\n".join(self.lines)
        raise AssertionError("\n".join(self.lines))


@pytest.fixture
def open_screen(tmp_path):
    root = make_repository(tmp_path / "repository")

    def run(replies, columns=80, lines=24):
        (tmp_path / "script.json").write_text(json.dumps(replies))
        model = ("--model", "scripted:../script.json")
        return EmulatedTerminal(root, tmp_path, "session", "--sandbox", "local", *model, columns=columns, lines=lines)

    return run


def has(text):
    return lambda lines: any(text in line for line in lines)


def footers(lines):
    return [line for line in lines if line.strip().startswith("scripted:")]


def test_the_footer_stays_one_line_below_the_input_through_answers_edits_and_sizes(open_screen):
    with open_screen(["It says **wrong**.", MEND, "Done."]) as terminal:
        lines = terminal.see(footers)
        assert lines.index(footers(lines)[0]) > max(at for at, line in enumerate(lines) if line.startswith(">"))
        terminal.send("what does it say?")
        terminal.see(has("It says wrong."))
        terminal.send("mend it")
        lines = terminal.see(has("1 file changed"))
        assert [line.strip() for line in lines if line.strip().startswith(("-wrong", "+right"))] == ["-wrong", "+right"]
        assert sum("It says wrong." in line for line in lines) == 1
        for columns in (50, 100):
            terminal.resize(columns, 24)
            terminal.send("/help")
            terminal.send(f"!echo at {columns}")
            lines = terminal.see(lambda lines, end=f"at {columns}": end in map(str.strip, lines) and len(footers(lines)) == 1)
            assert has("show the latest output")(lines), "a word is broken"
        terminal.send("/quit")
        terminal.see(has("is kept"))
        assert terminal.read_to_the_end() == 0
        assert DECTCEM in terminal.screen.mode
        assert BRACKETED_PASTE not in terminal.screen.mode


def test_wide_characters_are_all_there_and_none_is_cut_in_two(open_screen):
    text = "世界漢字" * 30
    with open_screen([text], columns=41) as terminal:
        terminal.see(footers)
        terminal.send("wide")
        lines = terminal.see(lambda lines: sum(line.count("世") for line in lines) == 30)
        shown = "".join(lines[min(at for at, line in enumerate(lines) if "世" in line) :])
        assert [letter for letter in shown if letter in text] == list(text)


def test_a_paste_of_2000_lines_takes_one_line_of_the_screen(open_screen):
    pasted = "\r".join(f"line {number}" for number in range(2000))
    with open_screen(["I have read it."]) as terminal:
        terminal.see(footers)
        terminal.type(f"\x1b[200~{pasted}\x1b[201~")
        lines = terminal.see(has("2,000 lines"))
        assert not has("line 1999")(lines)
        terminal.send("")
        lines = terminal.see(has("I have read it."))
        assert len(footers(lines)) == 1
