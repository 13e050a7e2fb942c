"""`codagent loop` on several task files, and on a folder of them."""

import json
import shutil

import pytest

from codagent.store.record import load
from tests.cli.conftest import CHECK, FIX, IDLE
from tests.cli.loops import LOCAL, told, tries


@pytest.fixture
def tasks(repository):
    """A folder with three task files."""
    folder = repository.parent / "tasks"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.toml").write_text(f'repository = "{repository}"\n[[task]]\ninstruction = "mend {name}"\nchecks = ["{CHECK}"]\n')
    (folder / "three.md").write_text("mend three\n")
    (folder / "readme.txt").write_text("not a task\n")
    return folder


def loops(repository):
    return [load(file) for file in sorted(repository.glob(".codagent/loops/*/record.jsonl"))]


def test_each_file_is_a_loop_of_its_own(codagent, script, repository, tasks):
    done = codagent("loop", f"{tasks}/", "--check", CHECK, "--jobs", "3", "--model", script(tries("right")), *LOCAL, "--json")
    result = told(done)
    assert (done.returncode, result["outcome"]) == (0, "passed"), done.stderr
    assert [loop["name"] for loop in result["loops"]] == ["one", "three", "two"]
    found = loops(repository)
    assert {loop.attempts[0].task.instruction for loop in found} == {"mend one", "mend two", "mend three"}
    assert len({loop.start_commit for loop in found}) == 1
    assert not (repository / ".codagent/notes.md").exists()
    assert (repository / "answer.txt").read_text() == "wrong\n"


def test_the_table_and_the_code_are_those_of_the_first_that_did_not_pass(codagent, script, repository, tasks):
    (tasks / "two.toml").write_text(f'repository = "{repository}"\n[[task]]\ninstruction = "x"\nchecks = ["false"]\n')
    words = ("loop", str(tasks / "one.toml"), str(tasks / "two.toml"))
    done = codagent(*words, "--model", script(FIX), *LOCAL, "--iterations", "1", "--rewrite", "never")
    assert done.returncode == 3, done.stderr
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:3]]
    assert rows == [["one", "passed"], ["two", "failed"]]
    assert done.stdout.endswith("1 of 2 loops passed\n")


def test_what_is_over_is_counted_and_what_was_broken_off_goes_on(codagent, script, repository, tasks):
    words = ("loop", str(tasks / "one.toml"), str(tasks / "two.toml"), *LOCAL, "--rewrite", "never", "--json")
    model = script(FIX)
    assert codagent(*words, "--model", model).returncode == 0
    two = next(loop for loop in loops(repository) if loop.attempts[0].task.instruction == "mend two")
    record = repository / f".codagent/loops/{two.id}/record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:4]))  # as a killed process leaves it
    done = codagent(*words, "--model", model, "--continue")
    result = told(done)
    assert (done.returncode, len(loops(repository))) == (0, 2), done.stderr
    assert {loop["id"] for loop in result["loops"]} == {loop.id for loop in loops(repository)}
    assert codagent(*words, "--model", model).returncode == 0
    assert len(loops(repository)) == 4  # without --continue, they begin anew


def test_each_file_is_a_group_of_loops(codagent, script, repository, tasks):
    words = ("loop", str(tasks / "one.toml"), str(tasks / "two.toml"), *LOCAL, "--group", "2", "--all", "--jobs", "3", "--seed", "5")
    done = codagent(*words, "--model", script(FIX), "--rewrite", "never", "--json")
    assert [loop["name"] for loop in told(done)["loops"]] == ["one (1 of 2)", "one (2 of 2)", "two (1 of 2)", "two (2 of 2)"], done.stderr
    groups = {}
    for loop in loops(repository):
        job = loop.settings["job"]
        assert (job["group"], job["members"]) == (loop.group, 2)
        groups.setdefault((loop.group, loop.attempts[0].task.instruction), set()).add(job["seed"])
    assert sorted((task, seeds) for (_, task), seeds in groups.items()) == [("mend one", {5, 100_005}), ("mend two", {5, 100_005})]


def test_a_group_goes_on_with_those_that_were_broken_off_or_never_began(codagent, script, repository, tasks):
    words = ("loop", str(tasks / "one.toml"), str(tasks / "two.toml"), *LOCAL, "--group", "3", "--all", "--rewrite", "never", "--json")
    model = script(FIX)
    assert codagent(*words, "--model", model).returncode == 0
    first, second = [loop for loop in loops(repository) if loop.attempts[0].task.instruction == "mend two"][:2]
    record = repository / f".codagent/loops/{first.id}/record.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:4]))
    shutil.rmtree(repository / f".codagent/loops/{second.id}")
    before = {loop.id: loop.group for loop in loops(repository)}
    done = codagent(*words, "--model", model, "--continue")
    after = {loop.id: loop.group for loop in loops(repository)}
    assert (done.returncode, len(after)) == (0, 6), done.stderr
    assert before.items() <= after.items()
    assert list(after.values()).count(first.group) == 3
    more = codagent(*words, "--model", model, "--continue", "--seed", "3")
    assert (more.returncode, len(loops(repository))) == (0, 12), more.stderr  # with other seeds, it is another group


def test_limits_hold_for_all_together(codagent, script, repository, tasks):
    words = ("loop", f"{tasks}/", "--check", CHECK, "--jobs", "3", "--model", script(tries("1", "2", "right")), *LOCAL, "--json")
    done = codagent(*words, "--total-tokens", "2000", "--max-tokens", "100000")
    result = told(done)
    assert done.returncode == 8, done.stderr
    assert sum(loop["tokens"] or 0 for loop in result["loops"]) <= 2000
    assert json.dumps(result).count("--total-tokens raises the limit") in (0, 1, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--group", "2"), "--group needs --all"),
        (("--notes", "n.md"), "are for one task"),
        (("--on", "spark"), "--on spark is not known"),
        (("--on", "ray://nowhere"), "--on ray://nowhere is not known"),
    ],
)
def test_what_does_not_fit_is_refused(codagent, script, repository, tasks, words, sentence):
    done = codagent("loop", f"{tasks}/", "--check", CHECK, "--model", script(IDLE), *LOCAL, *words)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert loops(repository) == []


def test_a_file_that_is_wrong_is_named_before_any_loop_begins(codagent, script, repository, tasks):
    (tasks / "two.toml").write_text("instruction = 3\n")
    done = codagent("loop", f"{tasks}/", "--check", CHECK, "--model", script(IDLE), *LOCAL)
    assert (done.returncode, "two.toml: instruction must be" in done.stderr, loops(repository)) == (2, True, []), done.stderr
    (tasks / "empty").mkdir()
    done = codagent("loop", f"{tasks}/empty/", "--check", CHECK)
    assert (done.returncode, "there is no task file in" in done.stderr) == (2, True)
    done = codagent("loop", "mend it", "--check", CHECK, "--continue")
    assert (done.returncode, "are for several task files" in done.stderr) == (2, True)
