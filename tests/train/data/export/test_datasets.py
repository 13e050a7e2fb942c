"""Recorded loops as data for other trainers: the folders are loaded back as anyone would."""

import json
from dataclasses import replace

import pytest
from datasets import load_from_disk
from trl import is_conversational

from codagent.errors import UsageError
from codagent.store.record import Record
from codagent.types import Episode, Message, Observation, Outcome, Step, Task, Tokens, ToolCall
from codagent_train.data.credit import mean, paper
from codagent_train.data.export.datasets import export_records
from codagent_train.data.records.scan import scan
from codagent_train.data.samples import build_samples, key_loops
from tests.train.command import run_train
from tests.train.data.records.recordings import PLAIN, WHOLE, reply, write

pytestmark = pytest.mark.usefixtures("hushed")

SYSTEM, USER = Message("system", "Be brief."), Message("user", "do it")
PROMPT = (SYSTEM, USER)


def said(number, *calls, text="so", answer=None):
    """A step whose ids tell which it is."""
    one = replace(reply(tokens=Tokens((5, 6), (number, 2), (-0.5, -0.25))), message=Message("assistant", text, calls), raw=f"raw {number}")
    return Step(one, Observation((answer,) if answer else ()), 0.1)


def attempt(kind, position, reward, *steps, end="finished"):
    outcome = None if reward is None else Outcome(reward, reward == 1, "")
    notes = {"notes_after": "later"} if kind == "notes" else {"commit": "def"}
    return Episode(kind, position, Task("t", "do it"), "", PROMPT, steps, end, outcome=outcome, **notes)


def record(folder, name, *episodes, end="finished", **of_loop):
    path = folder / name / "record.jsonl"
    opened = Record(path, replace(PLAIN, **{"id": name, **of_loop}))
    for one in episodes:
        opened.on_episode_start(replace(one, steps=(), end=None, outcome=None, commit=None, notes_after=None))
        for step in one.steps:
            opened.on_reply(step.reply, step.context)
            opened.on_step(step)
        if one.end:
            opened.on_episode_end(one)
    if end:
        opened.finish(end)
    opened.close()
    return path


def column(folder, name):
    return list(load_from_disk(folder)[name])


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def compared(tmp_path):
    """Two loops of three episodes; the second reply of `a`'s last attempt has text only."""
    text_only = Step(reply(tokens=None), Observation(()), 0.1)
    record(
        tmp_path / "loops",
        "a",
        attempt("solve", 0, 1.0, said(1)),
        attempt("notes", 0, 0.0, said(2)),
        attempt("solve", 1, 0.0, said(3), text_only),
    )
    record(
        tmp_path / "loops",
        "b",
        attempt("solve", 0, 0.0, said(11)),
        attempt("notes", 0, 0.0, said(12)),
        attempt("solve", 1, 1.0, said(13)),
    )
    return tmp_path / "loops"


def test_a_row_is_a_reply_with_its_tokens_and_what_it_was_worth(compared, tmp_path):
    written = export_records([compared], tmp_path / "out")
    rows = load_from_disk(tmp_path / "out" / "rows")
    worth = {"a": [(1, 0.0), (2, -0.25), (3, -0.5)], "b": [(11, 0.0), (12, 0.25), (13, 0.5)]}
    assert [(row["loop"], row["completion_ids"][0], row["advantage"]) for row in rows] == [
        (loop, number, advantage) for loop, each in worth.items() for number, advantage in each
    ]
    assert rows[1] == {
        "loop": "a",
        "group": "a",
        "kind": "notes",
        "position": 0,
        "step": 0,
        "task": "t",
        "prompt_ids": [5, 6],
        "completion_ids": [2, 2],
        "logprobs": [-0.5, -0.25],
        "advantage": -0.25,
        "reward": 0.0,
        "temperature": 0.7,
        "policy": "tiny#00 text",
        "prompt": [
            {"role": "system", "content": "Be brief.", "tool_calls": None, "tool_call_id": None},
            {"role": "user", "content": "do it", "tool_calls": None, "tool_call_id": None},
        ],
        "completion": [{"role": "assistant", "content": "so", "tool_calls": None, "tool_call_id": None}],
        "raw": "raw 2",
    }
    assert (written.rows, written.episodes) == (6, 6)


def test_advantages_are_those_that_our_own_trainer_would_take(compared, tmp_path):
    export_records([compared], tmp_path / "out")
    rows = load_from_disk(tmp_path / "out" / "rows")
    ours = build_samples(
        key_loops("replay", dict(enumerate(scan([compared]).groups))), returns=paper, baseline=mean, reweight=False
    ).samples
    taken = [(reply.completion_ids, row.advantage) for row in ours for reply in row.replies]
    assert [(tuple(row["completion_ids"]), row["advantage"]) for row in rows] == taken


def test_a_trainer_that_knows_conversations_knows_the_rows_for_such(compared, tmp_path):
    export_records([compared], tmp_path / "out")
    assert is_conversational(load_from_disk(tmp_path / "out" / "rows")[0])


def test_a_group_in_which_all_did_alike_has_rows_of_advantage_0(tmp_path):
    write(tmp_path / "loops", "a", 1.0)
    write(tmp_path / "loops", "b", 1.0, loop=replace(PLAIN, group="later"))
    export_records([tmp_path / "loops"], tmp_path / "out")
    rows = load_from_disk(tmp_path / "out" / "rows")
    assert [(row["group"], row["advantage"], row["reward"]) for row in rows] == [("a", 0.0, 1.0), ("a", 0.0, 1.0)]
    assert column(tmp_path / "out" / "episodes", "group") == ["a", "a"]


def test_a_prompt_is_what_the_model_was_asked_with(tmp_path):
    call = ToolCall("c1", "bash", '{"command": "l')
    first = said(1, call, answer=Message("tool", "error", tool_call_id="c1"))
    shortened = replace(said(3), context=(USER,))
    record(tmp_path / "loops", "a", attempt("solve", 0, 1.0, first, said(2), shortened))
    write(tmp_path / "loops", "b", 0.0)
    export_records([tmp_path / "loops"], tmp_path / "out")
    _, second, third, _ = column(tmp_path / "out" / "rows", "prompt")
    made = [{"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"command": "l'}}]
    assert second[2:] == [
        {"role": "assistant", "content": "so", "tool_calls": made, "tool_call_id": None},
        {"role": "tool", "content": "error", "tool_calls": None, "tool_call_id": "c1"},
    ]
    assert [message["content"] for message in third] == ["do it"]


def test_an_episode_has_all_that_was_said_and_what_came_of_it(tmp_path):
    record(tmp_path / "loops", "a", attempt("solve", 0, 1.0, said(1), said(2, answer=USER)), attempt("notes", 0, 0.0, said(3)))
    export_records([tmp_path / "loops"], tmp_path / "out")
    solve, notes = load_from_disk(tmp_path / "out" / "episodes")
    messages = solve.pop("messages")
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "Be brief."),
        ("user", "do it"),
        ("assistant", "so"),
        ("assistant", "so"),
        ("user", "do it"),
    ]
    assert solve == {
        "loop": "a",
        "group": "g",
        "kind": "solve",
        "position": 0,
        "task": "t",
        "instruction": "do it",
        "notes_before": "",
        "notes_after": None,
        "reward": 1.0,
        "passed": True,
        "end": "finished",
        "commit": "def",
    }
    assert (notes["kind"], notes["notes_after"], notes["commit"]) == ("notes", "later", None)


def test_whole_episodes_of_loops_that_are_refused_are_there_and_those_that_were_broken_off_are_not(tmp_path):
    loops = tmp_path / "loops"
    record(loops, "a", attempt("solve", 0, None, said(1)), attempt("solve", 1, None, said(2), end="interrupted"), end="interrupted")
    record(loops, "b", attempt("solve", 0, 0.0, said(3)), attempt("solve", 1, 0.0, said(4), end=None), end=None)
    record(loops / "copied", "b", attempt("solve", 0, 0.0, said(3)))
    record(loops, "c", attempt("solve", 0, 0.0))
    damaged = write(loops, "d", 1.0)
    damaged.write_text("{}\n")
    written = export_records([loops], tmp_path / "out")
    episodes = load_from_disk(tmp_path / "out" / "episodes")
    assert [(row["loop"], row["position"], row["reward"], row["passed"]) for row in episodes] == [
        ("a", 0, None, None),
        ("b", 0, 0.0, False),
    ]
    assert names(tmp_path / "out" / "trajectories") == ["a-0-solve.json", "b-0-solve.json"]
    assert len(load_from_disk(tmp_path / "out" / "rows")) == 0
    assert written.describe().splitlines()[-2:] == [
        "written  rows 0, episodes 2, trajectories 2",
        "         rows is empty: no reply can be learned from, for the reasons above",
    ]


def test_more_rows_than_are_written_at_a_time_are_all_there(tmp_path):
    for name in "ab":
        record(tmp_path / "loops", name, attempt("solve", 0, float(name == "a"), *(said(number) for number in range(300))))
    export_records([tmp_path / "loops"], tmp_path / "out")
    assert [ids[0] for ids in column(tmp_path / "out" / "rows", "completion_ids")] == [*range(300), *range(300)]


def test_what_a_file_calls_its_loop_or_says_leads_nowhere_else(tmp_path):
    output = b"\xff \x1b[2J".decode(errors="surrogateescape")
    one = attempt("solve", 0, 1.0, said(1, answer=Message("user", output)))
    for number, name in enumerate(("../../up", "/x/y", "\udcff", "")):
        record(tmp_path / "loops", str(number), one, id=name)
    export_records([tmp_path / "loops"], tmp_path / "deep" / "out")
    assert names(tmp_path) == ["deep", "loops"]
    assert names(tmp_path / "deep") == ["out"]
    files = list((tmp_path / "deep" / "out" / "trajectories").iterdir())
    assert sorted(json.loads(file.read_text())["session_id"] for file in files) == ["", "../../up", "/x/y", "?"]
    assert column(tmp_path / "deep" / "out" / "episodes", "messages")[0][-1]["content"] == "? \x1b[2J"


@pytest.mark.parametrize("there", ["file", "folder"])
def test_a_folder_that_holds_something_stays_as_it_is(compared, tmp_path, there):
    out = tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine").touch()
    with pytest.raises(UsageError, match="exists and is not empty"):
        export_records([compared], out)
    assert names(tmp_path) == ["loops", "out"]


def test_what_an_export_that_was_killed_left_is_in_nobodys_way(compared, tmp_path):
    (tmp_path / ".out.unfinished" / "rows").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    export_records([compared], tmp_path / "out")
    assert names(tmp_path) == ["loops", "out"]
    assert names(tmp_path / "out") == ["episodes", "rows", "trajectories"]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    huge = replace(reply(tokens=Tokens((5, 6), (2**70, 2), (-0.5, -0.25))), sampling=WHOLE)
    write(tmp_path / "loops", "a", 1.0, huge)
    write(tmp_path / "loops", "b", 0.0)
    with pytest.raises(UsageError, match=r"out cannot be written: .* too large"):
        export_records([tmp_path / "loops"], tmp_path / "out")
    with pytest.raises(UsageError, match=r"cannot be written: .*(Not a directory|File exists)"):
        export_records([tmp_path / "loops" / "b"], tmp_path / "loops" / "a" / "record.jsonl" / "out")
    assert names(tmp_path) == ["loops"]


def test_the_command_tells_what_was_written_and_what_was_refused(compared, tmp_path):
    write(compared, "alone", 1.0, loop=replace(PLAIN, group="h", start_commit="x"))
    done = [run_train("export-data", *given, "--out", "out", cwd=tmp_path) for given in (["loops"], ["loops"], ["gone"])]
    assert [each.returncode for each in done] == [0, 2, 2]
    assert done[0].stderr == ""
    assert done[0].stdout.splitlines() == [
        "records  3 read, with 8 replies, 1 of them text only",
        "groups   1 of 2 loops: 1 with a signal, 0 without",
        "rows     6, out of 6 replies",
        "refused  1 loop: no other loop to compare it with",
        "refused  1 reply: text only",
        "         loops/alone/record.jsonl: no other loop to compare it with",
        "written  rows 6, episodes 7, trajectories 7",
    ]
    assert done[1].stderr.startswith("codagent-train: ")
