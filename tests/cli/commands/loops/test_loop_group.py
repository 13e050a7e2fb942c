"""Loops side by side, and loops that branch off from others, through the installed command."""

import json
from pathlib import Path

import pytest

from codagent.store.record import load
from tests.cli.commands.loops.test_loop import first_messages, shown
from tests.cli.conftest import call
from tests.cli.loops import LOCAL, LOOP, attempt, noted, record_of, told, tries


@pytest.fixture
def race(repository, monkeypatch):
    """The replies of loops of which one passes at once and the others work for a long time."""
    mark = repository.parent / "first"
    work = call("bash", command=f"mkdir {mark} 2>/dev/null || exec sleep 900; echo right > answer.txt")
    return [work, call("finish", summary="mine"), noted("the winner's")]


def loops(repository):
    return [load(file) for file in sorted(repository.glob(".codagent/loops/*/record.jsonl"))]


def test_the_first_that_passes_ends_the_others_and_its_notes_become_the_shared_ones(codagent, script, repository, race):
    (repository / ".codagent").mkdir()
    (repository / ".codagent/notes.md").write_text("from before\n")
    done = codagent(*LOOP, "--model", script(race), "--group", "3", "--jobs", "3", "--json")
    result, found = told(done), loops(repository)
    assert (done.returncode, result["outcome"]) == (0, "passed"), done.stderr
    assert sorted(str(loop.end) for loop in found) == ["interrupted", "interrupted", "passed"]
    assert {loop.group for loop in found} == {result["group"]}
    assert {loop.notes for loop in found} == {"from before"}
    assert (repository / ".codagent/notes.md").read_text() == "the winner's\n"
    assert result["seconds"] < 250


def test_all_of_a_group_run_to_their_end_each_with_branch_and_notes_of_its_own(codagent, script, repository):
    done = codagent(*LOOP, "--model", script(tries("1", "right")), "--group", "3", "--all", "--seed", "5", "--json")
    found = loops(repository)
    seeds = [loop.settings["profile"]["sampling"]["seed"] for loop in found]
    assert seeds == sorted(seeds)  # a trainer that reads the records in the order of their names gets the same order each time
    assert (done.returncode, [loop.end for loop in found]) == (0, ["passed"] * 3)
    assert {one["id"] for one in told(done)["loops"]} == {loop.id for loop in found}
    assert done.stderr.count("the local sandbox does not isolate") == 1  # not once for each loop
    assert [shown(repository, f"codagent/{loop.id}:answer.txt") for loop in found] == ["right\n"] * 3
    assert [(repository / f".codagent/loops/{loop.id}/notes.md").read_text() for loop in found] == ["after 2\n"] * 3


def test_a_stopped_member_can_be_taken_up_again(codagent, script, repository, race):
    codagent(*LOOP, "--model", script(race), "--group", "2", "--json")
    stopped = next(loop for loop in loops(repository) if loop.end == "interrupted")
    shared = (repository / ".codagent/notes.md").read_text()
    assert codagent("clean", next(loop.id for loop in loops(repository) if loop.end == "passed")).returncode == 0
    (repository.parent / "first").rmdir()
    done = codagent("loop", "--resume", stopped.id, *LOCAL, "--json")
    assert (done.returncode, record_of(done).latest_notes) == (0, "the winner's"), done.stderr
    assert (repository / ".codagent/notes.md").read_text() == shared


def test_a_branch_starts_from_where_another_loop_stood(codagent, script, repository):
    origin = codagent(*LOOP, "--model", script([*tries("1", "2", "3"), *attempt("right"), noted("more")]), "--iterations", "3", "--json")
    (repository / "answer.txt").write_text("changed meanwhile\n")
    model = Path(record_of(origin).model.removeprefix("scripted:"))
    model.write_text(json.dumps([call("bash", command="cat answer.txt"), *attempt("right"), noted("b")]))  # what it says from here on
    done = codagent("branch", told(origin)["id"], "--at", "2", *LOCAL, "--json")
    loop = record_of(done)
    assert (done.returncode, told(done)["iterations"]) == (0, 1), done.stderr
    assert loop.notes == "after 2"
    assert "after 2" in first_messages(loop)[0]
    assert loop.episodes[0].steps[0].observation.messages[0].content.endswith("2")
    assert loop.start_commit == record_of(origin).start_commit
    refused = codagent("branch", told(origin)["id"], "--at", "9", *LOCAL)
    assert (refused.returncode, "has no iteration 9 to start from; it has 3" in refused.stderr) == (2, True)


def test_once_a_loop_has_passed_no_further_one_begins(codagent, script, repository):
    done = codagent(*LOOP, "--model", script(tries("right")), "--group", "3", "--jobs", "1", "--json")
    assert (done.returncode, "loops" in told(done)) == (0, False)
    assert len(list((repository / ".codagent" / "loops").iterdir())) == 1


def test_without_an_id_the_latest_loop_is_branched_and_it_is_said_which(codagent, script):
    failed = told(codagent(*LOOP, "--model", script(tries("a")), "--iterations", "1", "--json"))["id"]
    codagent("run", "another", "--model", script(attempt("b")), *LOCAL)
    done = codagent("branch", "--at", "1", "--model", script(tries("right")), *LOCAL, "--json")
    assert (done.returncode, f"branching off {failed} after iteration 1: mend it\n" in done.stderr) == (0, True), done.stderr
    refused = codagent("branch", "--at", "1", "--model", script(tries("right")), *LOCAL)
    assert (refused.returncode, f"the latest loop, {told(done)['id']}, has passed" in refused.stderr) == (2, True)


def test_a_run_is_no_loop_to_branch_off_from(codagent, script):
    codagent("run", "another", "--model", script(attempt("b")), *LOCAL)
    done = codagent("branch", "--at", "1", *LOCAL)
    assert (done.returncode, "there is no loop in " in done.stderr) == (2, True)
