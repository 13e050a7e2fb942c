"""`codagent report` on a repository: where the page and the picture go."""

import subprocess
import sys
from dataclasses import replace

import pytest

from codagent.cli.commands.records.report import report as command
from codagent.cli.page import draw_png
from codagent.errors import UsageError
from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task


@pytest.fixture
def kept(tmp_path):
    """A repository with a change and the record of the loop that made it."""

    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    (tmp_path / "x.py").write_text("old = 1\n")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    start = git("rev-parse", "HEAD")
    (tmp_path / "x.py").write_text("fresh = 1\n")
    git("commit", "-qam", "second")
    record = Record(tmp_path / ".codagent/loops/id1/record.jsonl", Loop("id1", "g", "repository", "model", start))
    episode = Episode("solve", 0, Task("t", "mend it"), "", ())
    step = Step(Reply(Message("assistant", "so"), "stop", 9, 1, 0.0, None, Sampling(), "w", "so"), Observation(()), 1.0)
    record.on_episode_start(episode)
    record.on_reply(step.reply, None)
    record.on_step(step)
    passed = Outcome(1.0, True, "")
    record.on_episode_end(replace(episode, steps=(step,), end="finished", outcome=passed, commit=git("rev-parse", "HEAD")))
    record.finish("passed")
    record.close()
    return tmp_path


def test_the_command_writes_the_page_beside_the_record(kept, capsys):
    command(repo=kept)
    written = kept / ".codagent/loops/id1/report.html"
    assert capsys.readouterr().out == f"{written}\n"
    text = written.read_text(encoding="utf-8")
    assert '<span class="removed">-old = 1\n</span><span class="added">+fresh = 1\n</span>' in text
    assert "Every check passes." in text


def test_the_page_names_the_branch_when_there_is_one(kept):
    page = kept / ".codagent/loops/id1/report.html"
    command(repo=kept)
    assert "<dt>branch</dt><dd>none</dd>" in page.read_text(encoding="utf-8")
    subprocess.run(["git", "branch", "codagent/id1"], cwd=kept, check=True)
    command(repo=kept)
    assert "<dt>branch</dt><dd><code>codagent/id1</code></dd>" in page.read_text(encoding="utf-8")


def test_the_page_goes_where_it_is_wanted(kept, capsys):
    command(repo=kept, out=kept / "page.html")
    assert capsys.readouterr().out == f"{kept / 'page.html'}\n"
    with pytest.raises(UsageError, match="cannot be written to"):
        command(repo=kept, out=kept / "no/such/folder.html")


def test_a_picture_without_matplotlib_is_a_usage_error(kept, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as Python has it for what cannot be imported
    with pytest.raises(UsageError, match=r"pip install 'codagent\[plots\]'"):
        command(repo=kept, png=kept / "scores.png")


def test_a_picture_of_the_scores(kept):
    pytest.importorskip("matplotlib")
    command(repo=kept, png=kept / "scores.png")
    assert (kept / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_no_font_can_draw_stops_no_picture(kept, tmp_path):
    pytest.importorskip("matplotlib")
    draw_png(Loop("\x1b[2J\x00$x", "g", "repository", "\ud800\u202e", "0" * 40), tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
