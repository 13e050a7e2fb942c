"""Records that were cut, changed, or made by another version are refused by name, and nothing else with them."""

import json
from dataclasses import replace

from codagent.store.codec import encode
from codagent.types import Loop
from codagent_train.data.records.scan import scan
from tests.store.foreign import without_checksums
from tests.train.data.records.recordings import PLAIN, ids, refused, write


def test_a_record_cut_at_any_byte_is_refused_by_name_and_so_is_its_group(tmp_path):
    path = write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        (first, *rest) = scan([tmp_path]).rejections
        assert (first.where, first.kind) == (path, "record" if size <= whole.index(b"\n") else "loop")
        assert all(each.where.parent.name == "b" for each in rest)
        assert len(rest) == 1
    path.write_bytes(whole)
    assert len(scan([tmp_path]).groups) == 1


def test_a_record_with_a_line_that_was_changed_is_refused_and_the_rest_goes_on(tmp_path):
    lines = write(tmp_path, "a", 1.0).read_text().splitlines()
    for name in "bc":
        write(tmp_path, name, float(name == "b"), loop=replace(PLAIN, group="h"))
    reasons = []
    for at in range(len(lines)):
        for line in ("", "{}", "5", "[" * 5000, '{"loop":5}', '{"reply":{}}', '{"ended":[]}', lines[at].replace("{", '{"x":1,', 2)):
            (tmp_path / "a" / "record.jsonl").write_text("\n".join([*lines[:at], line, *lines[at + 1 :], ""]))
            found = scan([tmp_path])
            assert ids(found) == [["b", "c"]]
            reasons += [each.reason for each in found.rejections]
    assert len(reasons) == 8 * len(lines)
    assert all(str(tmp_path) not in reason for reason in reasons)


def test_logprobs_that_were_changed_into_none_are_refused(tmp_path):
    path = write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 0.0)
    path.write_text(without_checksums(path.read_text()).replace("-0.25", "NaN"))
    assert refused(scan([tmp_path])) == [("reply", "a", "ids, logprobs and counts do not agree")]


def test_a_record_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "a" / "record.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"loop": {"schema": 1, **encode(Loop("a", "g", "e", "m", ""))}}) + "\n")
    assert refused(scan([tmp_path])) == [("record", "a", "has schema 1, and this codagent reads 2; use the version that wrote it")]
