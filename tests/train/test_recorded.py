"""Recorded loops as training data: what is taken, and what is refused for which reason."""

import json
from dataclasses import replace

import pytest

from codagent.codec import encode
from codagent.errors import UsageError
from codagent.record import Record
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tokens
from codagent_train.credit import mean, paper
from codagent_train.recorded import Learner, read
from codagent_train.rows import harvest

WHOLE = Sampling(0.7, 1.0, 0, 100)
SETTINGS = {"sandbox": "python", "sandbox_setup": {}}
SAID = Tokens((5, 6), (1, 2), (-0.5, -0.25))
PLAIN = Loop("", "g", "repository", "m", "abc", settings=SETTINGS)


def reply(*, policy="tiny#00 text", sampling=WHOLE, tokens=SAID):
    return Reply(Message("assistant", "so"), "stop", 2, 2, 0.0, tokens, sampling, policy, "so")


def episode(reward, replies, *, kind="solve", position=0):
    steps = tuple(Step(each, Observation(()), 0.1) for each in replies)
    outcome = None if reward is None else Outcome(reward, reward == 1, "")
    return Episode(kind, position, Task("t", "do it"), "", (Message("user", "do it"),), steps, "finished", outcome=outcome)


def write(folder, name, reward, *replies, end="finished", loop=PLAIN):
    """A record of one episode; the path of its file."""
    path = folder / name / "record.jsonl"
    record = Record(path, replace(loop, id=name))
    one = episode(reward, replies or (reply(),))
    record.started(replace(one, steps=(), end=None, outcome=None))
    for step in one.steps:
        record.replied(step.reply, None)
        record.stepped(step)
    record.ended(one)
    if end:
        record.finish(end)
    record.close()
    return path


def refused(found):
    return [(each.kind, each.where.parent.name, each.reason) for each in found.refused]


def ids(found):
    return [[loop.id for loop in group] for group in found.groups]


def test_loops_of_one_start_are_a_group_that_the_credit_takes(tmp_path):
    write(tmp_path / "x/.codagent/loops", "a", 1.0)
    write(tmp_path / "y", "b", 0.0, loop=replace(PLAIN, group="later"))
    found = read([tmp_path])
    assert (ids(found), found.refused, found.records, found.replies, found.text) == ([["a", "b"]], (), 2, 2, 0)
    rows = harvest(found.groups, returns=paper, baseline=mean, reweight=False).rows
    assert [(row.advantage, row.replies) for row in rows] == [(0.5, (SAID,)), (-0.5, (SAID,))]


@pytest.mark.parametrize(
    "other",
    [
        {"environment": "frozenlake"},
        {"start_commit": "def"},
        {"settings": {"sandbox": "node", "sandbox_setup": {}}},
        {"settings": {**SETTINGS, "image": "sha256:11"}},
        {"settings": {**SETTINGS, "job": {"tasks": [{"id": "u", "instruction": "do that"}]}}},
    ],
)
def test_loops_that_differ_in_what_they_were_given_are_not_compared(tmp_path, other):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0, loop=replace(PLAIN, **{"group": "h", **other}))
    alone = "alone, with nothing to be compared with"
    assert refused(read([tmp_path])) == [("loop", "a", alone), ("loop", "b", alone)]


def test_loops_that_were_started_together_have_one_start_though_uncommitted_work_has_a_commit_for_each(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0, loop=replace(PLAIN, start_commit="abd"))
    assert ids(read([tmp_path])) == [["a", "b"]]


def test_loops_of_two_models_are_not_compared(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0, reply(policy="tiny#11 text"))
    assert ids(read([tmp_path])) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reply(tokens=None), "text only"),
        (reply(policy="tiny#00 constrained"), "constrained"),
        (reply(sampling=replace(WHOLE, top_p=0.95)), "cut distribution"),
        (reply(sampling=replace(WHOLE, top_k=40)), "cut distribution"),
        (reply(sampling=replace(WHOLE, top_k=None)), "cut distribution"),
        (reply(sampling=replace(WHOLE, temperature=None)), "no temperature"),
        (reply(sampling=replace(WHOLE, temperature=0.0)), "no temperature"),
        (reply(tokens=Tokens((5, 6), (1, 2), (-0.5,))), "ids, logprobs and counts do not agree"),
        (reply(tokens=Tokens((5, 6), (1,), (-0.5,))), "ids, logprobs and counts do not agree"),
        (reply(tokens=Tokens((5,), (1, 2), (-0.5, -0.5))), "ids, logprobs and counts do not agree"),
        (reply(tokens=Tokens((5, 6), (1, -2), (-0.5, -0.5))), "ids, logprobs and counts do not agree"),
        (reply(tokens=Tokens((5, 6), (1, 2), (-0.5, 0.5))), "ids, logprobs and counts do not agree"),
        (reply(tokens=Tokens((5, 6), (1, 2), (-0.5, float("nan")))), "ids, logprobs and counts do not agree"),
    ],
)
def test_a_reply_that_cannot_be_trained_on_is_refused_and_its_loop_still_counts(tmp_path, bad, reason):
    write(tmp_path, "a", 1.0, reply(), bad)
    write(tmp_path, "b", 0.0)
    found = read([tmp_path])
    assert (refused(found), ids(found), found.rows, found.trained) == ([("reply", "a", reason)], [["a", "b"]], 2, 2)
    assert found.text == (reason == "text only")


def test_a_group_without_a_reply_to_train_on_is_none(tmp_path):
    for name in "ab":
        write(tmp_path, name, 1.0, reply(tokens=None))
    found = read([tmp_path])
    assert (found.groups, found.text) == ((), 2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"end": None}, "broken off"),
        ({"end": "tokens"}, "broken off"),
        ({"reward": None}, "not judged"),
        ({"reward": 7.0}, "a reward that there cannot be"),
        ({"reward": float("nan")}, "a reward that there cannot be"),
        ({"replies": (reply(), reply(policy="other#00 text"))}, "several models"),
    ],
)
def test_a_loop_that_cannot_be_compared_takes_those_with_it_that_were_started_together(tmp_path, given, reason):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", given.get("reward", 0.0), *given.get("replies", ()), end=given.get("end", "finished"))
    write(tmp_path, "c", 0.0)
    gone = "its group is not whole"
    assert refused(read([tmp_path])) == [("loop", "b", reason), ("loop", "a", gone), ("loop", "c", gone)]


def test_a_group_of_which_a_record_is_gone_is_not_whole(tmp_path):
    three = replace(PLAIN, settings={**SETTINGS, "job": {"tasks": [], "members": 3}})
    for name in "ab":
        write(tmp_path, name, float(name == "a"), loop=three)
    gone = "its group is not whole"
    assert refused(read([tmp_path])) == [("loop", "a", gone), ("loop", "b", gone)]
    write(tmp_path, "c", 0.0, loop=three)
    assert ids(read([tmp_path])) == [["a", "b", "c"]]


def test_a_loop_that_is_there_twice_counts_once(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    write(tmp_path / "copied", "b", 0.0)
    found = read([tmp_path, tmp_path / "a" / "record.jsonl"])
    assert (ids(found), refused(found), found.records) == ([["a", "b"]], [("loop", "b", "there twice")], 3)


def test_a_group_in_which_all_did_alike_is_dead(tmp_path):
    for name, reward, group in (("a", 1.0, "g"), ("b", 1.0, "g"), ("c", 1.0, "h"), ("d", 0.0, "h")):
        write(tmp_path, name, reward, loop=replace(PLAIN, group=group, start_commit=group))
    found = read([tmp_path])
    assert (len(found.groups), found.dead) == (2, 1)


def test_records_of_other_weights_than_the_learners_are_refused(tmp_path):
    for name in "ab":
        write(tmp_path, name, float(name == "a"))
    assert len(read([tmp_path], Learner(("other", "tiny#00"))).groups) == 1
    other = read([tmp_path], Learner(("tiny#11",)))
    assert refused(other) == [("loop", "a", "another model"), ("loop", "b", "another model")]


def test_replies_of_too_old_a_version_are_refused_and_so_are_those_of_a_later_one(tmp_path):
    old, fresh, later = (reply(policy=f"tiny@{version} text") for version in (5, 6, 11))
    write(tmp_path, "a", 1.0, old, fresh, later)
    write(tmp_path, "b", 0.0, fresh)
    found = read([tmp_path], Learner(("tiny",), version=10, max_staleness=4))
    assert (refused(found), found.trained) == ([("reply", "a", "stale"), ("reply", "a", "stale")], 2)


def test_replies_with_ids_that_there_are_not_are_refused(tmp_path):
    write(tmp_path, "a", 1.0, reply(), reply(tokens=replace(SAID, completion_ids=(1, 9))))
    write(tmp_path, "b", 0.0)
    found = read([tmp_path], Learner(("tiny#00",), words=9))
    assert refused(found) == [("reply", "a", "ids of another tokenizer")]


def test_what_training_begins_with_is_its_version_0(tmp_path):
    for name in "ab":
        write(tmp_path, name, float(name == "a"))
    assert [len(read([tmp_path], Learner(("tiny#00",), version, 4)).groups) for version in (0, 4, 5)] == [1, 1, 0]


def test_a_record_cut_at_any_byte_is_refused_by_name_and_so_is_its_group(tmp_path):
    path = write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        (first, *rest) = read([tmp_path]).refused
        assert (first.where, first.kind) == (path, "record" if size <= whole.index(b"\n") else "loop")
        assert all(each.where.parent.name == "b" for each in rest)
        assert len(rest) == 1
    path.write_bytes(whole)
    assert len(read([tmp_path]).groups) == 1


def test_a_record_with_a_line_that_was_changed_is_refused_and_the_rest_goes_on(tmp_path):
    lines = write(tmp_path, "a", 1.0).read_text().splitlines()
    for name in "bc":
        write(tmp_path, name, float(name == "b"), loop=replace(PLAIN, group="h"))
    reasons = []
    for at in range(len(lines)):
        for line in ("", "{}", "5", "[" * 5000, '{"loop":5}', '{"reply":{}}', '{"ended":[]}', lines[at].replace("{", '{"x":1,', 2)):
            (tmp_path / "a" / "record.jsonl").write_text("\n".join([*lines[:at], line, *lines[at + 1 :], ""]))
            found = read([tmp_path])
            assert ids(found) == [["b", "c"]]
            reasons += [each.reason for each in found.refused]
    assert len(reasons) == 8 * len(lines)
    assert all(str(tmp_path) not in reason for reason in reasons)


def test_logprobs_that_were_changed_into_none_are_refused(tmp_path):
    path = write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    path.write_text(path.read_text().replace("-0.25", "NaN"))
    assert refused(read([tmp_path])) == [("reply", "a", "ids, logprobs and counts do not agree")]


def test_a_record_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "a" / "record.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"loop": {"schema": 1, **encode(Loop("a", "g", "e", "m", ""))}}) + "\n")
    assert refused(read([tmp_path])) == [("record", "a", "has schema 1, and this codagent reads 2; use the version that wrote it")]


def test_what_was_found_is_told_in_lines(tmp_path):
    write(tmp_path, "a", 1.0, reply(), reply(tokens=None))
    write(tmp_path, "b", 0.0, reply(), reply(tokens=None))
    write(tmp_path, "c", 0.0, end=None, loop=replace(PLAIN, group="h"))
    assert read([tmp_path]).told().splitlines() == [
        "records  3 read, with 5 replies, 2 of them text only",
        "groups   1 of 2 loops: 1 alive, 0 dead",
        "rows     2, out of 2 replies",
        "refused  1 loop: broken off",
        "refused  2 replies: text only",
        f"         {tmp_path}/c/record.jsonl: broken off",
    ]


def test_a_folder_that_is_not_there_or_has_no_records_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"there is no .*gone"):
        read([tmp_path / "gone"])
    with pytest.raises(UsageError, match=r"there is no record\.jsonl in"):
        read([tmp_path])
