"""`--stream-json`: every event that the README describes, with these keys."""

import json
import re
from pathlib import Path

import pytest

from codagent.cli.terminal.event_stream import SCHEMA, EventStream
from codagent.protocols import PromptProgress, Restart, Thought
from codagent.runner.result import KEYS
from tests.cli.conftest import CHECK
from tests.cli.loops import LOOP, attempt, noted, tries

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`[a-z`, ]+`) \| (?:`([a-z, ]+)`|those of `--json`) \|", README[README.index("| `event` |") :], re.MULTILINE)
DESCRIBED = {name: {*filter(None, keys.split(", "))} for names, keys in ROWS for name in re.findall(r"\w+", names)}


def events(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_loop_prints_the_events_that_are_described(codagent, script):
    done = codagent(*LOOP, "--model", script(["thinking aloud", *tries("1", "right")]), "--stream-json")
    printed = events(done)
    assert [event["event"] for event in printed if event["event"] not in ("call", "result")] == [
        *("start", "attempt", "text", "gate", "text", "notes"),
        *("attempt", "gate", "text", "notes", "end"),
    ]
    for event in printed[:-1]:
        assert event.keys() - {"event", "loop", "iteration"} == DESCRIBED[event["event"]]
    assert DESCRIBED.keys() == {*(event["event"] for event in printed), "thinking"}
    assert (printed[0]["schema"], printed[0]["resumed"]) == (SCHEMA, False)
    assert [event["passed"] for event in printed if event["event"] == "gate"] == [False, True]
    assert {*printed[-1]} == {"event", *KEYS}
    assert (printed[-1]["exit_code"], printed[-1]["outcome"]) == (0, "passed")


def test_the_loops_of_a_group_are_told_apart(codagent, script):
    printed = events(codagent(*LOOP, "--model", script([*attempt("right"), noted("n")]), "--group", "2", "--all", "--stream-json"))
    assert len({event["loop"] for event in printed[:-1]}) == 2
    assert len(printed[-1]["loops"]) == 2


@pytest.mark.parametrize("arguments", [["run", "--nothing"], ["run", "x", "--check", CHECK, "--sandbox", "absent"], ["show", "absent"]])
def test_a_command_that_ends_early_prints_the_end(codagent, arguments):
    done = codagent(*arguments, "--stream-json")
    (end,) = events(done)
    assert (end["event"], end["exit_code"]) == ("end", done.returncode)
    assert end["message"]


def test_pieces_are_printed_once(capsys):
    stream = EventStream()
    stream.on_text(Thought("hm"))
    stream.on_text("a\x1b[2J")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"event": "thinking", "loop": "", "iteration": 0, "text": "hm"},
        {"event": "text", "loop": "", "iteration": 0, "text": "a\x1b[2J"},
    ]


def test_what_is_no_part_of_a_reply_is_no_event(capsys):
    stream = EventStream()
    for piece in ("", PromptProgress("40% of 9,000 tokens"), Restart("asking m again: it is busy")):
        stream.on_text(piece)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "asking m again: it is busy\n")
