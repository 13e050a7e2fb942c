"""`codagent bench` through the installed command, on clones that a test makes."""

import json
import signal
import subprocess
import time

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE, call
from tests.cli.loops import LOCAL, Started, told


@pytest.fixture
def clones(repository):
    """A folder with two clones: a/one and b/two."""
    folder = repository.parent / "clones"
    for name in ("a__one", "b/two"):
        subprocess.run(["git", "clone", "-q", repository, folder / name], check=True)
    return folder


@pytest.fixture
def commit(repository):
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def row(name, commit, **changed):
    repo = "a/one" if name.startswith("a") else "b/two"
    facts = {"instance_id": name, "repo": repo, "base_commit": commit, "problem_statement": "mend it", "patch": "SECRET"}
    return json.dumps(facts | changed)


@pytest.fixture
def bench(codagent, repository, clones, tmp_path):
    """Runs the command on rows."""

    def run(rows, model, *arguments):
        (tmp_path / "instances.jsonl").write_text("".join(f"{line}\n" for line in rows))
        return codagent(
            *("bench", str(tmp_path / "instances.jsonl"), "--repos", str(clones), "--out", str(tmp_path / "out.jsonl")),
            *("--model", model, *LOCAL, *arguments),
        )

    return run


def predictions(tmp_path):
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]


def test_each_instance_gets_a_prediction_that_applies_to_its_commit(bench, script, clones, commit, tmp_path):
    (clones / "a__one" / "answer.txt").write_text("changed since\n")
    done = bench([row("a-1", commit), "", row("b.2", commit), row("a-3", commit)], script(FIX), "--jobs", "3", "--json")
    assert (done.returncode, told(done)["missing"]) == (0, []), done.stderr
    found = predictions(tmp_path)
    assert sorted(line["instance_id"] for line in found) == ["a-1", "a-3", "b.2"]
    assert [set(line) for line in found] == [{"instance_id", "model_name_or_path", "model_patch"}] * 3
    for line in found:
        assert line["model_patch"].startswith("diff --git a/answer.txt b/answer.txt")
    (tmp_path / "patch").write_text(found[0]["model_patch"])
    subprocess.run(["git", "apply", "--check", tmp_path / "patch"], cwd=clones / "b/two", check=True)
    records = [*clones.glob("*/.codagent/loops/*/record.jsonl"), *clones.glob("b/two/.codagent/loops/*/record.jsonl")]
    assert len(records) == 3
    assert not any("SECRET" in record.read_text() for record in records)


def test_what_changed_nothing_is_predicted_too(bench, script, commit, tmp_path):
    done = bench([row("a-1", commit)], script(IDLE))
    assert (done.returncode, predictions(tmp_path)[0]["model_patch"]) == (0, "")
    assert done.stdout.endswith(f"1 of 1 instance have a prediction in {tmp_path / 'out.jsonl'}\n")


def test_with_checks_each_instance_is_a_loop(bench, script, commit, tmp_path):
    attempts = [*IDLE, "<notes>\nlook again\n</notes>", *FIX]
    done = bench([row("a-1", commit)], script(attempts), "--check", CHECK, "--json")
    (loop,) = told(done)["loops"]
    assert (done.returncode, loop["iterations"], loop["outcome"]) == (0, 2, "passed"), done.stderr
    assert predictions(tmp_path)[0]["model_patch"]


def test_the_same_command_again_does_only_what_is_missing(bench, script, commit, tmp_path):
    model = script(FIX[:1])  # its script ends too soon, so the model fails
    rows = [row("a-1", commit), row("b-2", commit)]
    failed = bench(rows, model, "--wait", "0", "--json")
    assert (failed.returncode, told(failed)["missing"], predictions(tmp_path)) == (4, ["a-1", "b-2"], []), failed.stderr
    ids = {loop["id"] for loop in told(failed)["loops"]}
    (tmp_path / "out.jsonl").write_text(json.dumps({"instance_id": "b-2", "model_patch": ""}) + '\n{"instance_id": "a-1", "model_p')
    model_file = tmp_path / model.removeprefix("scripted:")
    model_file.write_text(json.dumps(FIX))
    done = bench(rows, model, "--json")
    (loop,) = told(done)["loops"]
    assert (done.returncode, loop["name"], loop["id"] in ids) == (0, "a-1", True), done.stderr
    assert [line["instance_id"] for line in predictions(tmp_path)] == ["b-2", "a-1"]
    assert "+right" in predictions(tmp_path)[1]["model_patch"]


def test_a_loop_that_ended_before_its_prediction_was_written_is_read_from_its_record(bench, script, commit, tmp_path):
    bench([row("a-1", commit)], script(FIX))
    first = predictions(tmp_path)
    (tmp_path / "out.jsonl").unlink()
    done = bench([row("a-1", commit)], script([]))
    assert (done.returncode, predictions(tmp_path)) == (0, first), done.stderr


def test_an_interrupted_command_goes_on(bench, script, clones, commit, repository, tmp_path):
    slow = script([call("bash", command=f"[ -e {tmp_path}/go ] || sleep 60"), *FIX])
    (tmp_path / "instances.jsonl").write_text(row("a-1", commit) + "\n" + row("b-2", commit) + "\n")
    arguments = ("bench", str(tmp_path / "instances.jsonl"), "--repos", str(clones), "--out", str(tmp_path / "out.jsonl"))
    started = Started(repository, *arguments, "--model", slow, *LOCAL, "--max-seconds", "300")
    wait_for_reply(clones)
    assert started.end(signal.SIGINT) == 130
    (tmp_path / "go").touch()
    done = bench([row("a-1", commit), row("b-2", commit)], slow)
    assert done.returncode == 0, done.stderr


def wait_for_reply(clones):
    """Wait until both loops have a reply on record."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        records = [*clones.glob("*/.codagent/loops/*/record.jsonl"), *clones.glob("b/two/.codagent/loops/*/record.jsonl")]
        if sum('{"reply"' in record.read_text() for record in records) == 2:
            return
        time.sleep(0.05)
    raise AssertionError("no reply came")


BAD = {
    "no json": ("not json", "line 1, is not JSON"),
    "a list": ("[1]", "line 1, is not a JSON object"),
    "no id": (row("a-1", "0" * 40, instance_id=None), "instance_id must be a name"),
    "a path for an id": (row("a-1", "0" * 40, instance_id="../x"), "instance_id must be a name of letters"),
    "short commit": (row("a-1", "abc"), "base_commit must be the whole id of a commit, not 'abc'"),
    "an option for a commit": (row("a-1", "--output=x"), "base_commit must be the whole id"),
    "no statement": (row("a-1", "0" * 40, problem_statement=" "), "problem_statement must be a text that is not blank"),
    "a repository elsewhere": (row("a-1", "0" * 40, repo="../one"), "repo must be the name of a repository, OWNER/NAME"),
    "no clone": (row("a-1", "0" * 40, repo="c/three"), "there is no clone of c/three in"),
    "no commit": (row("a-1", "0" * 40), "lacks the commit 0000"),
    "nothing": ("", "has no instance"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_answered_in_a_sentence_and_nothing_begins(bench, script, tmp_path, kind):
    line, sentence = BAD[kind]
    done = bench([line], script(FIX))
    assert (done.returncode, sentence in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_the_same_instance_twice_is_refused(bench, script, commit):
    done = bench([row("a-1", commit), row("a-1", commit)], script(FIX))
    assert (done.returncode, "line 2: the instance a-1 is in an earlier line, too" in done.stderr) == (2, True)


def test_another_file_is_not_written_to(bench, script, commit, tmp_path):
    (tmp_path / "out.jsonl").write_text('{"mine": 1}\n')
    done = bench([row("a-1", commit)], script(FIX))
    assert (done.returncode, "line 1, is no prediction" in done.stderr) == (2, True)
    assert (tmp_path / "out.jsonl").read_text() == '{"mine": 1}\n'
