"""The parts of the terminal that need no terminal."""

import time

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.utils import get_cwidth

from codagent.cli.session.input.completion import SessionCompleter, rank_paths
from codagent.cli.session.input.pastes import Pastes
from codagent.cli.session.view.call_lines import describe_call, summarize_call
from codagent.cli.session.view.ink import Ink, wrap
from codagent.cli.session.view.markdown import MarkdownStream, render
from codagent.cli.session.view.meter import Meter, short_number
from codagent.cli.session.view.view import View
from codagent.cli.terminal.paint import fit
from codagent.protocols import CallText, PromptProgress, Restart, Thought
from codagent.session.answered import Answered
from codagent.store.ledger import Spent
from codagent.types import Message, Reply, Sampling, ToolCall

TEXT = "A *word*.\n\n```python\nx = 1\n\ny = 2\n```\nAfter.\n\n- a\n- b\n\nEnd"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_blocks_come_when_they_are_whole_and_a_fence_is_never_split(size):
    stream = MarkdownStream()
    blocks = [block for at in range(0, len(TEXT), size) if (block := stream.add(TEXT[at : at + size]))]
    assert "".join(blocks) + stream.finish() == TEXT
    assert all(block.count("```") in (0, 2) for block in blocks)
    assert stream.rest == ""


def test_a_fence_in_a_longer_fence_is_no_end():
    stream = MarkdownStream()
    assert stream.add("````\n```\n\n```\n") == ""
    assert stream.add("````\n") == "````\n```\n\n```\n````\n"


@pytest.mark.parametrize("piece", ["aaaaa", "aaaa\n", "`a` b"])
def test_a_text_without_an_end_is_taken_in_without_growing_work(piece):
    stream, began = MarkdownStream(), time.process_time()
    for _ in range(200_000):
        stream.add(piece)
    assert time.process_time() - began < 5
    assert stream.rest == piece * 200_000


def test_markdown_is_rendered_within_the_columns_and_without_colour_when_wanted():
    text = render("# Title\n\n**bold** `code` [link](http://a.b)\n\n" + "word " * 60, 40, color=False)
    assert "\x1b[3" not in text
    assert max(map(get_cwidth, text.split("\n"))) <= 40
    assert "http://a.b" in text


@pytest.mark.parametrize(("text", "columns"), [("abcdef", 4), ("世界漢字", 5), ("é" * 9, 3), ("👩‍👩‍👧 family", 6)])
def test_a_line_is_cut_to_columns(text, columns):
    assert get_cwidth(fit(text, columns)) <= columns
    assert fit(text, columns).endswith("…")
    assert fit(text, 100) == text


@pytest.mark.parametrize(("text", "lines"), [("abcde", ["ab", "cd", "e"]), ("世界a", ["世", "界", "a"]), ("", [""]), ("世", ["世"])])
def test_a_line_is_split_at_columns(text, lines):
    assert wrap(text, 2) == lines
    assert wrap("世", 1) == ["世"]


def test_a_long_paste_is_a_mark_until_it_is_sent():
    pastes, text = Pastes(), "\n".join(map(str, range(50)))
    assert pastes.fold("two\r\nlines") == "two\nlines"
    mark = pastes.fold(text)
    assert mark == "[paste 1: 50 lines]"
    assert pastes.unfold(f"see {mark} and [paste 9: 50 lines]") == f"see {text} and [paste 9: 50 lines]"


def complete(text):
    completer = SessionCompleter(
        lambda: {"diff": "", "discard": "", "help": ""}, lambda: ["src/parse.py", "tests/test_parse.py", "README.md", "two words.txt"]
    )
    return [completion.text for completion in completer.get_completions(Document(text), CompleteEvent())]


def test_commands_and_files_are_completed():
    assert complete("/di") == ["/diff", "/discard"]
    assert complete("look at @parse") == ["src/parse.py", "tests/test_parse.py"]
    assert complete("look at @two") == ['"two words.txt"']
    assert (complete("mail a@par"), complete("say /di"), complete("plain")) == ([], [], [])


def test_paths_that_begin_so_come_first():
    assert rank_paths(["a/xb.py", "b.py", "a/b.py"], "b") == ["b.py", "a/b.py", "a/xb.py"]


@pytest.mark.parametrize(("number", "text"), [(999, "999"), (1_000, "1k"), (12_345, "12.3k"), (128_000, "128k"), (1_200_000, "1.2M")])
def test_numbers_are_short(number, text):
    assert short_number(number) == text


def reply(**more):
    values = {"prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.01} | more
    return Reply(Message("assistant", "x"), "stop", tokens=None, sampling=Sampling(), policy="p", raw="x", **values)


def test_the_meter_never_falls_and_an_unknown_cost_is_unknown():
    meter = Meter()
    meter.window = 1_000
    meter.count(reply(cached_tokens=50))
    assert meter.describe() == ["context 11% of 1k", "100 in (50% cached), 10 out", "$0.01"]
    meter.count(reply(cost_usd=None))
    assert meter.describe()[-1] == "cost unknown"
    meter.count(reply())
    assert (meter.sent, meter.describe()[-1]) == (300, "cost unknown")


def test_what_replies_that_broke_off_may_have_cost_stands_apart():
    meter = Meter(lambda: Spent(5_427, 0.07))
    assert meter.describe() == ["maybe 5.4k tokens and $0.07 more"]
    meter.count(reply())
    assert meter.describe() == ["100 in, 10 out", "$0.01", "maybe 5.4k tokens and $0.07 more"]
    assert Meter(lambda: Spent(20, unpriced=1)).describe_broken_off() == "maybe 20 tokens more"


def answered(name, answer, patch="", argument="x"):
    return Answered(ToolCall("1", name, f'{{"command": "{argument}"}}'), answer, patch, 1.25)


def test_a_call_is_a_line_with_its_end_and_time():
    ink = Ink(color=False)
    assert summarize_call(answered("bash", "exit 1\nno"), ink, 80) == "bash x → exit 1 · 1.2 s"
    long = summarize_call(answered("bash", "exit 0", argument="世" * 100), ink, 60)
    assert get_cwidth(long) < 60
    assert long.endswith("→ exit 0 · 1.2 s")


def test_output_has_its_last_lines_and_an_edit_its_patch():
    ink = Ink(color=False)
    output = "exit 0\n" + "\n".join(map(str, range(9)))
    assert describe_call(answered("bash", output), ink, 3) == ["  … 4 lines before; /expand 3 shows all", *(f"  {n}" for n in range(4, 9))]
    assert describe_call(answered("bash", output + "\nend"), ink, 3)[0] == "  … 5 lines before; /expand 3 shows all"
    assert describe_call(answered("bash", "exit 0\n" + "a\n" * 6), ink, 3)[0] == "  … 1 line before; /expand 3 shows all"
    assert describe_call(answered("read", "ok a, lines 1-2 of 2\nsecret"), ink, 1) == []
    patch = "--- a\n+++ a\n@@ -1 +1 @@\n-old\n+new"
    assert describe_call(answered("edit", "ok", patch), ink, 1) == ["  @@ -1 +1 @@", "  -old", "  +new"]
    assert describe_call(answered("edit", "error: no such text"), ink, 1) == []


def live(view):
    return [line for _, line in view.live_lines()]


def test_what_is_written_is_live_until_its_block_is_whole(capsys):
    view = View(Ink(color=False))
    view.work("waiting for the model")
    view.on_text("One ")
    view.on_text("two")
    assert live(view)[0] == "One two"
    view.on_text(".\n\nThree")
    assert (capsys.readouterr().out.strip(), live(view)[0]) == ("One two.", "Three")


def test_a_thought_is_live_and_stays_nowhere(capsys):
    view = View(Ink(color=False))
    view.work("waiting for the model")
    view.on_text(Thought("Hm."))
    assert live(view)[0] == "Hm."
    view.on_text("So.\n\n")
    assert (capsys.readouterr().out.strip(), len(live(view))) == ("So.", 1)


def test_the_arguments_of_a_call_are_no_text(capsys):
    view = View(Ink(color=False))
    view.work("waiting for the model")
    view.on_text("I look.")
    view.on_text(CallText('{"command": "ls"}'))
    assert (capsys.readouterr().out.strip(), live(view)[0].endswith("the model writes a call · 0 s")) == ("I look.", True)


def test_a_reply_that_is_asked_for_again_begins_anew_and_says_so(capsys):
    view = View(Ink(color=False))
    view.work("waiting for the model")
    view.on_text("Half an ans")
    view.on_text(Restart("asking the model again: it is busy"))
    view.on_text("Whole.\n\n")
    assert capsys.readouterr().out.split("\n")[:2] == ["asking the model again: it is busy", "Whole."]


def test_the_last_lines_of_a_command_that_runs_are_live_until_it_ends():
    view = View(Ink(color=False))
    view.work("bash make")
    view.on_output("".join(f"{number}%\r" for number in range(100)) + "\n" + "".join(f"line {number}\n" for number in range(20)))
    assert live(view) == [*(f"line {number}" for number in range(14, 20)), "⠋ bash make · 0 s"]
    view.work("waiting for the model")
    assert len(live(view)) == 1


def test_how_much_of_a_prompt_is_read_is_live_and_no_text(capsys):
    view = View(Ink(color=False))
    view.work("waiting for the model")
    view.on_text(PromptProgress("40% of 9,000 tokens"))
    assert live(view) == ["⠋ the model reads: 40% of 9,000 tokens · 0 s"]
    view.on_text("Yes.\n\n")
    assert capsys.readouterr().out.strip() == "Yes."
