"""The runs of checks that outlive a process."""

from codagent.repository.gate.cache import Cache
from codagent.repository.gate.verdict import Run
from codagent.store import jsonl

RUNS = {f"key {number}": (Run("true", number, "exit"),) for number in range(3)}


def fill(file):
    cache = Cache(file)
    for key, runs in RUNS.items():
        cache.put(key, runs, for_others=True)
    return file.read_bytes()


def known(file):
    cache = Cache(file)
    return {key: cache.get(key) for key in RUNS}


def test_runs_are_known_to_the_next_process(tmp_path):
    fill(tmp_path / "verdicts.jsonl")
    assert known(tmp_path / "verdicts.jsonl") == RUNS
    assert Cache(tmp_path / "verdicts.jsonl").get("another") is None


def test_a_damaged_line_counts_as_missing_and_the_others_do_not(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    whole = fill(file)
    start, end = whole.index(b"\n") + 1, whole.rindex(b"\n", 0, -1)
    for bit in range(8 * start, 8 * end, 3):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert known(file) == RUNS | {"key 1": None}


def test_a_line_that_was_torn_spoils_at_most_the_next_one(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    whole = fill(file)
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with jsonl.open_to_append(file) as opened:
            for _ in range(2):
                jsonl.append(opened, {"key": "more", "runs": []})
        whole_lines = whole[:size].count(b"\n")
        assert known(file) == {key: runs if number < whole_lines else None for number, (key, runs) in enumerate(RUNS.items())}
        assert Cache(file).get("more") == ()


def test_what_is_not_for_others_is_known_to_this_process_alone(tmp_path):
    cache = Cache(tmp_path / "verdicts.jsonl")
    cache.put("key", (), for_others=False)
    assert (cache.get("key"), cache.is_own("key"), Cache(tmp_path / "verdicts.jsonl").get("key")) == ((), True, None)
