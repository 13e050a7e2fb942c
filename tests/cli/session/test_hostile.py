"""Whatever comes from a model, a repository or a paste, a session shows it without letting it act on the terminal."""

import re
import subprocess

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from codagent.cli.session.commands import custom
from codagent.cli.session.input.completion import SessionCompleter
from codagent.cli.session.view.ink import Ink, clean, wrap_words
from codagent.cli.session.view.markdown import MarkdownStream, render
from codagent.cli.session.view.view import View
from codagent.cli.terminal.paint import paint
from codagent.cli.terminal.progress import ProgressLines
from codagent.protocols import PromptProgress, Restart, Thought
from codagent.repository import git
from codagent.session.answered import FileChange
from codagent.store import layout
from codagent.types import Episode, Outcome, Task

HOSTILE = [
    "\x1b]52;c;aGk=\x07copied",
    "\x1b]0;title\x1b\\titled",
    "\x1b[?1049h\x1b[2J\x1b[Hcleared",
    "\x9d0;title\x9c\x9b2Jold",
    "\x1bP+q544e\x1b\\dcs",
    "safe()\revil()",
    "a\u202eb\u2066c\u200dd",
    "tag\U000e0041\U000e0042s",
    "one\u2028-two\x85+three\x0c@four",
    "half\udcff\ud800",
    "\x1b[" + "9" * 50_000,
    "\x1b]8;;http://a\x07link\x1b]8;;\x07",
]
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]")
each_hostile = pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))


@each_hostile
def test_no_text_acts(hostile, capsys):
    view = View(Ink(color=False))
    view.say(hostile)
    view.error(hostile)
    view.markdown(f"# {hostile}\n\n| {hostile} | b |\n|---|---|\n| `{hostile}` | [x]({hostile}) |\n\n```{hostile}\n{hostile}\n```")
    view.work(clean(hostile))
    for piece in (hostile, Thought(hostile), Restart(hostile), PromptProgress(hostile)):
        view.on_text(piece)
    view.on_output(hostile)
    failed = Outcome(0.0, False, hostile, (hostile,), 1)
    view.on_episode_end(Episode("solve", 0, Task("t", hostile), "", (), end="model", cause=hostile, outcome=failed))
    view.work(clean(hostile))
    view.on_output(hostile)
    shown = capsys.readouterr().out + "".join(line for _, line in view.live_lines())
    assert ACTING.findall(shown) == []


@each_hostile
def test_no_line_of_a_run_acts(hostile, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    lines = ProgressLines()
    lines.on_episode_start(Episode("solve", 0, Task("t", hostile), "", ()))
    for piece in (hostile, Thought(hostile), Restart(hostile), PromptProgress(hostile)):
        lines.on_text(piece)
        lines._draw()
    lines.on_output(hostile)
    lines.on_episode_end(Episode("solve", 0, Task("t", hostile), "", (), end="model", cause=hostile))
    ours = re.sub(r"\r\x1b\[K|\x1b\[2m|\x1b\[0m", "", capsys.readouterr().err)
    assert ACTING.findall(ours) == []


@each_hostile
def test_a_patch_hides_nothing_and_each_of_its_lines_stays_one(hostile):
    patch = f"--- a\n+++ b\n+{hostile}\n-old"
    shown = paint(patch, color=False)
    assert ACTING.findall(shown) == []
    assert len(shown.split("\n")) == 4
    letters = re.sub("[^a-z]", "", re.sub(r"\\x\w\w|\\u\w{4}|\\U\w{8}|\\r", "", shown))
    assert {*re.findall("safe|evil|copied|title|link", hostile)} <= {*re.findall("safe|evil|copied|title|link", letters)}
    described = FileChange("x\x1b[31m.txt", "", hostile).describe()
    assert ACTING.findall(paint(described, color=False)) == []


def test_a_file_of_the_repository_is_no_command_unless_its_name_is_a_word(tmp_path):
    folder = layout.home_dir(tmp_path) / "commands"
    folder.mkdir(parents=True)
    for name in ("good-one", "\x1b]0;x\x07", "b\u202ead", "two words"):
        (folder / f"{name}.md").write_text("text")
    assert custom.list_commands(tmp_path) == ["good-one"]


def test_a_path_that_plays_tricks_is_not_completed():
    paths = ["good.py", "go\u202eod.py", "go\x1b[2Jod.py", "go\udcffod.py"]
    completer = SessionCompleter(dict, lambda: paths)
    assert [found.text for found in completer.get_completions(Document("@go"), CompleteEvent())] == ["good.py"]


@each_hostile
def test_the_message_of_a_commit_does_not_act(hostile, repository):
    head = git.snapshot(repository).commit
    made = git.commit(repository, git.tree_of(repository, head), head, hostile, trailers={"Codagent-Loop": hostile})
    printed = subprocess.run(["git", "log", "-1", "--format=%B", made], cwd=repository, capture_output=True, check=True).stdout
    assert ACTING.findall(printed.decode(errors="surrogateescape")) == []


def test_a_reply_of_megabytes_is_shown_without_being_rendered():
    stream, view = MarkdownStream(), View(Ink(color=False))
    for _ in range(2_000):
        stream.add("**x** " * 1_000)
    assert len(stream.tail(4_000)) <= 4_000
    assert stream.rest.endswith(stream.tail(4_000))
    assert render(stream.finish()[:200_000], 80, color=False).startswith("**x** **x**")
    view._stream.add("y" * 10_000_000)
    view.work("answering")
    assert view.live_lines()


def test_sentences_break_between_words():
    assert wrap_words("one two three\nfour", 8) == "one two\nthree\nfour"
    assert wrap_words("see: /a/very/long/path now", 8) == "see: /a/very/long/path\nnow"
    assert wrap_words("世界 世界", 5) == "世界\n世界"
