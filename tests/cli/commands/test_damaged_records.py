"""Records that are damaged, empty or foreign, beside one that is whole."""

import json
import subprocess

import pytest

from tests.cli.conftest import FIX
from tests.cli.loops import LOCAL
from tests.store.foreign import without_checksums


@pytest.fixture
def whole(codagent, script):
    """The id of a loop with a record that nothing is wrong with."""
    return json.loads(codagent("run", "mend it", "--model", script(FIX), *LOCAL, "--json").stdout)["id"]


@pytest.fixture
def damaged(whole, repository):
    """Folders of other loops, and the sentence about each."""
    loops = repository / ".codagent" / "loops"
    record = (loops / whole / "record.jsonl").read_text()
    made = {
        "0101-000000-0001": ("", "holds no whole line"),
        "0101-000000-0002": (record.replace("mend it", "mend at"), "line 1, is damaged"),
        "0101-000000-0003": (record.replace('"schema":2', '"schema":3'), "has schema 3"),
        "0101-000000-0004": ("\0\x1b[2J\n", "line 1, is damaged"),
        "0101-000000-0005": ("".join(record.splitlines(keepends=True)[::2]), "line 2, is damaged"),
        "0101-000000-0006": (without_checksums(record).replace("mend it", "mend \\ud800"), "holds half a character"),
        "a copy": (record.replace('"model":"', '"model":"\x1b[2J'), "line 1, is damaged"),
    }
    for name, (text, _) in made.items():
        (loops / name).mkdir()
        (loops / name / "record.jsonl").write_text(text)
    return {name: said for name, (_, said) in made.items()}


def test_a_list_has_a_line_for_each_and_the_whole_one_as_ever(codagent, whole, damaged):
    done = codagent("list")
    assert (done.returncode, done.stderr, "\x1b" in done.stdout) == (0, "", False)
    lines = {name: line for line in done.stdout.splitlines() for name in (whole, *damaged) if line.startswith(f"{name}  ")}
    assert len(lines) == len(done.stdout.splitlines()[1:]) == 1 + len(damaged)
    assert lines[whole].endswith(" mend it")
    for name, said in damaged.items():
        assert lines[name].removeprefix(name).split()[0] == "damaged"
        assert said in lines[name]


def test_as_json_the_reason_is_under_error(codagent, whole, damaged):
    done = codagent("list", "--json")
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert (done.returncode, rows.keys()) == (0, {whole, *damaged})
    assert "error" not in rows.pop(whole)
    assert all(row["outcome"] == "damaged" and damaged[name] in row["error"] for name, row in rows.items())


def test_the_whole_one_is_shown_and_each_damaged_one_is_an_error_with_a_sentence(codagent, whole, damaged):
    assert codagent("show", whole).returncode == 0
    for name, said in damaged.items():
        done = codagent("show", name)
        assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (7, True, 1)


def test_clean_removes_them_all(codagent, repository, damaged):
    done = codagent("clean", "--all")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1 + len(damaged)), done.stderr
    assert list((repository / ".codagent" / "loops").iterdir()) == []


def test_clean_leaves_a_branch_that_is_checked_out_and_goes_on_with_the_others(codagent, script, repository, whole):
    other = json.loads(codagent("run", "mend it", "--model", script(FIX), *LOCAL, "--json").stdout)["id"]
    subprocess.run(["git", "switch", "-q", f"codagent/{whole}"], cwd=repository, check=True)
    done = codagent("clean", "--all")
    assert (done.returncode, "is checked out and is left alone" in done.stderr) == (6, True)
    assert [json.loads(codagent("list", "--json").stdout)[0]["id"], f"removed {other}" in done.stdout] == [whole, True]
