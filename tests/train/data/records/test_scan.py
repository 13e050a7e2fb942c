"""Recorded loops as training data: what is taken, and what is refused for which reason."""

from dataclasses import replace

import pytest

from codagent.errors import UsageError
from codagent.types import Tokens
from codagent_train.data.credit import mean, paper
from codagent_train.data.records.scan import TargetPolicy, scan
from codagent_train.data.samples import build_samples, key_loops
from tests.train.data.records.recordings import PLAIN, SAID, SETTINGS, WHOLE, ids, refused, reply, write


def test_loops_of_one_start_are_a_group_that_the_credit_takes(tmp_path):
    write(tmp_path / "x/.codagent/loops", "a", 1.0)
    write(tmp_path / "y", "b", 0.0, loop=replace(PLAIN, group="later"))
    found = scan([tmp_path])
    assert (ids(found), found.rejections, found.records, found.replies, found.text_replies) == ([["a", "b"]], (), 2, 2, 0)
    rows = build_samples(key_loops("replay", dict(enumerate(found.groups))), returns=paper, baseline=mean, reweight=False).samples
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
    alone = "no other loop to compare it with"
    assert refused(scan([tmp_path])) == [("loop", "a", alone), ("loop", "b", alone)]


def test_loops_that_were_started_together_have_one_start_though_uncommitted_work_has_a_commit_for_each(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0, loop=replace(PLAIN, start_commit="abd"))
    assert ids(scan([tmp_path])) == [["a", "b"]]


def test_loops_of_two_models_are_not_compared(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0, reply(policy="tiny#11 text"))
    assert ids(scan([tmp_path])) == []


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
    found = scan([tmp_path])
    assert (refused(found), ids(found), found.sample_count, found.trained_replies) == ([("reply", "a", reason)], [["a", "b"]], 2, 2)
    assert found.text_replies == (reason == "text only")


def test_a_group_without_a_reply_to_train_on_is_none(tmp_path):
    for name in "ab":
        write(tmp_path, name, 1.0, reply(tokens=None))
    found = scan([tmp_path])
    assert (found.groups, found.text_replies) == ((), 2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"end": None}, "not complete"),
        ({"end": "tokens"}, "not complete"),
        ({"reward": None}, "not graded"),
        ({"reward": 7.0}, "a reward outside -1 to 1"),
        ({"reward": float("nan")}, "a reward outside -1 to 1"),
        ({"replies": (reply(), reply(policy="other#00 text"))}, "several models"),
    ],
)
def test_a_loop_that_cannot_be_compared_takes_those_with_it_that_were_started_together(tmp_path, given, reason):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", given.get("reward", 0.0), *given.get("replies", ()), end=given.get("end", "finished"))
    write(tmp_path, "c", 0.0)
    gone = "its group is incomplete"
    assert refused(scan([tmp_path])) == [("loop", "b", reason), ("loop", "a", gone), ("loop", "c", gone)]


def test_a_group_of_which_a_record_is_gone_is_not_whole(tmp_path):
    three = replace(PLAIN, settings={**SETTINGS, "job": {"tasks": [], "members": 3}})
    for name in "ab":
        write(tmp_path, name, float(name == "a"), loop=three)
    gone = "its group is incomplete"
    assert refused(scan([tmp_path])) == [("loop", "a", gone), ("loop", "b", gone)]
    write(tmp_path, "c", 0.0, loop=three)
    assert ids(scan([tmp_path])) == [["a", "b", "c"]]


def test_a_loop_that_is_there_twice_counts_once(tmp_path):
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    write(tmp_path / "copied", "b", 0.0)
    found = scan([tmp_path, tmp_path / "a" / "record.jsonl"])
    assert (ids(found), refused(found), found.records) == ([["a", "b"]], [("loop", "b", "a second copy")], 3)


def test_a_group_in_which_all_did_alike_is_dead(tmp_path):
    for name, reward, group in (("a", 1.0, "g"), ("b", 1.0, "g"), ("c", 1.0, "h"), ("d", 0.0, "h")):
        write(tmp_path, name, reward, loop=replace(PLAIN, group=group, start_commit=group))
    found = scan([tmp_path])
    assert (len(found.groups), found.groups_without_signal) == (2, 1)


def test_records_of_other_weights_than_the_learners_are_refused(tmp_path):
    for name in "ab":
        write(tmp_path, name, float(name == "a"))
    assert len(scan([tmp_path], TargetPolicy(("other", "tiny#00"))).groups) == 1
    other = scan([tmp_path], TargetPolicy(("tiny#11",)))
    assert refused(other) == [("loop", "a", "another model"), ("loop", "b", "another model")]


def test_replies_of_too_old_a_version_are_refused_and_so_are_those_of_a_later_one(tmp_path):
    old, fresh, later = (reply(policy=f"tiny@{version} text") for version in (5, 6, 11))
    write(tmp_path, "a", 1.0, old, fresh, later)
    write(tmp_path, "b", 0.0, fresh)
    found = scan([tmp_path], TargetPolicy(("tiny",), version=10, max_staleness=4))
    assert (refused(found), found.trained_replies) == ([("reply", "a", "stale"), ("reply", "a", "stale")], 2)


def test_replies_with_ids_that_there_are_not_are_refused(tmp_path):
    write(tmp_path, "a", 1.0, reply(), reply(tokens=replace(SAID, completion_ids=(1, 9))))
    write(tmp_path, "b", 0.0)
    found = scan([tmp_path], TargetPolicy(("tiny#00",), vocabulary_size=9))
    assert refused(found) == [("reply", "a", "ids of another tokenizer")]


def test_what_training_begins_with_is_its_version_0(tmp_path):
    for name in "ab":
        write(tmp_path, name, float(name == "a"))
    assert [len(scan([tmp_path], TargetPolicy(("tiny#00",), version, 4)).groups) for version in (0, 4, 5)] == [1, 1, 0]


def test_a_checkpoint_that_training_begins_with_is_its_version_0_and_other_steps_of_that_run_are_other_weights(tmp_path):
    for name, step in (("a", 20), ("b", 20), ("c", 19), ("d", 19)):
        write(
            tmp_path,
            name,
            float(name in "ac"),
            reply(policy=f"taught@{step} text"),
            loop=replace(PLAIN, group=str(step), start_commit=str(step)),
        )
    target = TargetPolicy(("run",), 0, 4, start="taught@20")
    found = scan([tmp_path], target)
    assert (ids(found), refused(found)) == ([["a", "b"]], [("loop", "c", "another model"), ("loop", "d", "another model")])
    assert [len(scan([tmp_path], replace(target, version=version)).groups) for version in (4, 5)] == [1, 0]


def test_what_was_found_is_told_in_lines(tmp_path):
    write(tmp_path, "a", 1.0, reply(), reply(tokens=None))
    write(tmp_path, "b", 0.0, reply(), reply(tokens=None))
    write(tmp_path, "c", 0.0, end=None, loop=replace(PLAIN, group="h"))
    assert scan([tmp_path]).describe().splitlines() == [
        "records  3 read, with 5 replies, 2 of them text only",
        "groups   1 of 2 loops: 1 with a signal, 0 without",
        "rows     2, out of 2 replies",
        "refused  1 loop: not complete",
        "refused  2 replies: text only",
        f"         {tmp_path}/c/record.jsonl: not complete",
    ]


def test_a_folder_that_is_not_there_or_has_no_records_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"there is no .*gone"):
        scan([tmp_path / "gone"])
    with pytest.raises(UsageError, match=r"there is no record\.jsonl in"):
        scan([tmp_path])
