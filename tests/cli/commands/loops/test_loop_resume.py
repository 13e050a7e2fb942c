"""A loop that was broken off goes on as if nothing had happened, through the installed command."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import call
from tests.cli.loops import LOCAL, LOOP, Started, attempt, kinds, noted, record_of, told, tries

WHOLE = [("solve", 0), ("notes", 0), ("solve", 1), ("notes", 1)]


@pytest.fixture
def slow(tmp_path):
    """Replies whose second attempt takes long, unless the file `go` is there."""
    wait = f"echo waiting; for _ in $(seq 600); do [ ! -e {tmp_path}/go ] || break; sleep 0.5; done"
    yield [*tries("1"), call("bash", command=wait), *attempt("right"), noted("after 2")]
    (tmp_path / "go").touch()  # for a command whose codagent was killed


def resumed(codagent, repository, *flags):
    (repository.parent / "go").touch()
    return codagent("loop", "--resume", json.loads(codagent("list", "--json").stdout)[0]["id"], *LOCAL, *flags, "--json")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)], ids=["killed", "interrupted"])
def test_a_loop_that_was_broken_off_goes_on_with_its_next_step(codagent, script, repository, slow, number, code):
    running = Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:")
    record = next(repository.glob(".codagent/loops/*/record.jsonl"))
    while b"waiting" not in record.read_bytes():
        time.sleep(0.05)
    assert running.end(number) == code
    listed = json.loads(codagent("list", "--json").stdout)
    assert (listed[0]["outcome"], listed[0]["iterations"]) == ("interrupted", 1)
    done = resumed(codagent, repository)
    assert (done.returncode, told(done)["iterations"], kinds(record_of(done))) == (0, 2, WHOLE), done.stderr
    assert [len(episode.steps) for episode in record_of(done).episodes] == [2, 1, 3, 1]
    assert ("and is gone; this process goes on" in done.stderr) == (number == signal.SIGKILL)
    assert (repository / ".codagent/notes.md").read_text() == "after 2\n"
    assert not (record.parent / "lock").exists()


def test_a_loop_whose_model_was_down_goes_on_and_nothing_is_done_twice(codagent, script, repository):
    items = [*tries("1"), *attempt("2")[:1]]
    down = codagent(*LOOP, "--model", script(items), "--json")
    assert (down.returncode, told(down)["iterations"]) == (4, 1)
    Path(record_of(down).model.removeprefix("scripted:")).write_text(json.dumps(tries("1", "2", "right")))
    done = resumed(codagent, repository)
    assert (done.returncode, kinds(record_of(done))) == (0, [*WHOLE, ("solve", 2), ("notes", 2)]), done.stderr
    assert [len(episode.steps) for episode in record_of(done).episodes] == [2, 1] * 3


def test_a_loop_that_passed_when_the_model_went_down_goes_on_with_its_last_notes(codagent, script, repository):
    passed = codagent(*LOOP, "--model", script([*tries("1"), *attempt("right")]), "--json")
    assert (passed.returncode, told(passed)["outcome"], record_of(passed).latest_notes) == (0, "passed", "after 1")
    Path(record_of(passed).model.removeprefix("scripted:")).write_text(json.dumps(tries("1", "right")))
    done = resumed(codagent, repository)
    assert (done.returncode, told(done)["outcome"], kinds(record_of(done))) == (0, "passed", WHOLE), done.stderr
    assert (repository / ".codagent/notes.md").read_text() == "after 2\n"
    over = resumed(codagent, repository)
    assert (over.returncode, "is over: every check passes" in over.stderr) == (2, True)


def test_a_loop_at_a_limit_goes_on_when_that_is_raised(codagent, script, repository):
    items = tries("1", "2", "right")
    stopped = codagent(*LOOP, "--model", script(items), "--iterations", "2", "--json")
    assert stopped.returncode == 3
    done = resumed(codagent, repository, "--iterations", "3")
    assert (done.returncode, told(done)["iterations"]) == (0, 3), done.stderr
    assert told(done)["tokens"] > told(stopped)["tokens"]
    over = resumed(codagent, repository)
    assert (over.returncode, "is over: every check passes" in over.stderr) == (2, True)


def test_tokens_that_were_spent_stay_spent(codagent, script, repository):
    stopped = codagent(*LOOP, "--model", script(tries("1", "2", "3", "4", "right")), "--max-tokens", "3200", "--json")
    assert (stopped.returncode, told(stopped)["outcome"]) == (8, "tokens")
    refused = resumed(codagent, repository)
    assert (refused.returncode, "--max-tokens raises it" in refused.stderr) == (2, True)
    again = resumed(codagent, repository, "--max-tokens", "3300")
    assert told(stopped)["tokens"] <= told(again)["tokens"] <= 3300
    done = resumed(codagent, repository, "--max-tokens", "100000")
    assert done.returncode == 0, done.stderr


def test_a_loop_that_is_being_worked_on_is_left_alone(codagent, script, repository, slow):
    running = Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:")
    try:
        refused = codagent("loop", "--resume", json.loads(codagent("list", "--json").stdout)[0]["id"], *LOCAL)
        assert (refused.returncode, "is being worked on by process" in refused.stderr) == (2, True)
    finally:
        running.end()


def test_a_second_loop_at_the_same_time_keeps_notes_of_its_own(codagent, script, repository, slow):
    running = Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:")
    try:
        done = codagent(*LOOP, "--model", script([*attempt("right"), noted("the second's")]), "--json")
    finally:
        running.end()
    assert (done.returncode, "keeps notes of its own" in done.stderr) == (0, True)
    assert record_of(done).notes == "after 1"
    assert (repository / ".codagent/notes.md").read_text() == "after 1\n"
    assert Path(told(done)["record"]).with_name("notes.md").read_text() == "the second's\n"


def test_an_edit_of_the_notes_while_the_loop_lies_still_wins(codagent, script, repository, slow):
    running = Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:")
    running.end()
    (repository / ".codagent/notes.md").write_text("mine\n")
    done = resumed(codagent, repository)
    assert done.returncode == 0
    assert (repository / ".codagent/notes.md").read_text() == "mine\n"
    assert any(file.read_text() == "after 2\n" for file in repository.glob(".codagent/notes/*"))


def test_notes_that_were_there_before_give_way_to_those_that_a_crash_kept_from_the_file(codagent, script, repository):
    (repository / ".codagent").mkdir()
    notes = repository / ".codagent/notes.md"
    notes.write_text("from before\n")
    codagent(*LOOP, "--model", script(tries("1", "2", "right")), "--iterations", "1")
    notes.write_text("from before\n")  # as it stands when the power fails between the record and the notes
    for version in repository.glob(".codagent/notes/*"):
        version.unlink()
    done = resumed(codagent, repository, "--iterations", "3")
    assert [one.notes_before for one in record_of(done).episodes if one.kind == "solve"] == ["from before", "after 1", "after 2"]


def test_refs_that_a_killed_git_left_locked_are_not_in_the_way(codagent, script, repository, slow):
    Started(repository, *LOOP, "--model", script(slow)).until("iteration 2:").end()
    loop_id = json.loads(codagent("list", "--json").stdout)[0]["id"]
    (repository / f".git/refs/codagent/{loop_id}/1.lock").touch()
    (repository / f".git/refs/heads/codagent/{loop_id}.lock").touch()
    done = resumed(codagent, repository)
    assert (done.returncode, [one.end for one in record_of(done).episodes]) == (0, ["finished"] * 4), done.stderr
    assert not list(repository.glob(".git/refs/**/*.lock"))


def test_a_loop_goes_on_where_its_repository_was_moved_to(codagent, script, repository, tmp_path):
    codagent(*LOOP, "--iterations", "1", "--model", script(tries("no", "right")))
    moved = repository.rename(tmp_path / "moved")
    done = codagent("loop", "--resume", told_id(codagent, moved), *LOCAL, "--iterations", "2", "--json", cwd=moved)
    assert done.returncode == 0, done.stderr
    assert (moved / ".codagent" / "notes.md").read_text() == "after 2\n"


def told_id(codagent, root):
    return json.loads(codagent("list", "--json", cwd=root).stdout)[0]["id"]
