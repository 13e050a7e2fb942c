"""`codagent run --no-git` in a folder that is no repository."""

import shutil

import pytest

from codagent.store.record import load
from tests.cli.conftest import CHECK, FIX, IDLE
from tests.cli.loops import LOCAL, record_of, told


@pytest.fixture
def folder(repository):
    shutil.rmtree(repository / ".git")
    return repository


def test_the_files_are_changed_and_the_checks_judge_them(codagent, script, folder):
    done = codagent("run", "mend it", "--no-git", "--check", CHECK, "--model", script(FIX), *LOCAL, "--json")
    result = told(done)
    assert (done.returncode, result["outcome"], result["passed"]) == (0, "passed", True), done.stderr
    assert (folder / "answer.txt").read_text() == "right\n"
    assert result["files"] == {"written": ["answer.txt"], "removed": [], "kept": []}
    assert (folder / f".codagent/loops/{result['id']}/before/answer.txt").read_text() == "wrong\n"
    loop = record_of(done)
    assert (loop.environment, "in a folder" in loop.attempts[0].prompt[0].content) == ("folder", True)
    assert "answer.txt" in loop.attempts[0].prompt[1].content


def test_a_false_done_changes_nothing_and_fails(codagent, script, folder):
    done = codagent("run", "mend it", "--no-git", "--check", CHECK, "--model", script(IDLE), *LOCAL)
    assert (done.returncode, (folder / "answer.txt").read_text()) == (3, "wrong\n"), done.stderr
    assert "grep -q right answer.txt" in done.stdout


def test_what_was_done_when_the_model_failed_is_kept(codagent, script, folder):
    done = codagent("run", "mend it", "--no-git", "--model", script(FIX[:1]), *LOCAL, "--wait", "0")
    assert (done.returncode, (folder / "answer.txt").read_text()) == (4, "right\n"), done.stderr
    assert "written: answer.txt" in done.stdout
    assert "--resume" not in done.stdout


def test_a_repository_is_refused_and_so_is_a_session(codagent, script, repository):
    (repository / "inner").mkdir()
    for place in (repository, repository / "inner"):
        done = codagent("run", "mend it", "--no-git", "--model", script(FIX), *LOCAL, cwd=place)
        assert (done.returncode, "is in the git repository" in done.stderr) == (2, True), done.stderr
    assert (repository / "answer.txt").read_text() == "wrong\n"
    assert codagent("run", "x", "--no-git", "--repo", "nowhere", *LOCAL).returncode == 2


def test_the_rules_of_the_folder_are_read(codagent, script, folder, tmp_path):
    (folder / "AGENTS.md").write_text("Write in capitals.\n")
    done = codagent("run", "mend it", "--no-git", "--model", script(IDLE), *LOCAL, "--json", "--record", str(tmp_path / "records"))
    loop = load(next((tmp_path / "records").rglob("record.jsonl")))
    assert (done.returncode, "Write in capitals." in loop.attempts[0].prompt[1].content) == (0, True)
    assert not (folder / ".codagent").exists()
